"""What both of Tocsin's services share: contracts and the adapters that hold them."""
