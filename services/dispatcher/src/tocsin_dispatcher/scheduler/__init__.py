"""The role `schedule`: leads by a lease, follows the tasks, makes rows and jobs of what is owed."""
