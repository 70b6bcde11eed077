"""PURE. The times of a day that a schedule allows. A time is its hour, minute and second."""

from bisect import bisect_left, bisect_right
from datetime import datetime

from tocsin_common.schedule_fields import Fields

Time = tuple[int, int, int]


def first_time(fields: Fields) -> Time:
    """The day's first."""
    return fields.hours[0], fields.minutes[0], fields.seconds[0]


def last_time(fields: Fields) -> Time:
    """The day's last."""
    return fields.hours[-1], fields.minutes[-1], fields.seconds[-1]


def time_from(fields: Fields, at: datetime) -> Time | None:
    """The first at or after `at`, on its day."""
    hours, minutes, seconds = fields.hours, fields.minutes, fields.seconds
    hour, minute, second = bisect_left(hours, at.hour), 0, 0
    if hour < len(hours) and hours[hour] == at.hour:
        minute = bisect_left(minutes, at.minute)
        if minute < len(minutes) and minutes[minute] == at.minute:
            second = bisect_left(seconds, at.second)
            if second == len(seconds):
                minute, second = minute + 1, 0
        if minute == len(minutes):
            hour, minute = hour + 1, 0
    return (hours[hour], minutes[minute], seconds[second]) if hour < len(hours) else None


def time_until(fields: Fields, at: datetime) -> Time | None:
    """The last at or before `at`, on its day."""
    hours, minutes, seconds = fields.hours, fields.minutes, fields.seconds
    hour, minute, second = bisect_right(hours, at.hour) - 1, -1, -1
    if hour >= 0 and hours[hour] == at.hour:
        minute = bisect_right(minutes, at.minute) - 1
        if minute >= 0 and minutes[minute] == at.minute:
            second = bisect_right(seconds, at.second) - 1
            if second < 0:
                minute, second = minute - 1, -1
        else:
            second = -1
        if minute < 0:
            hour, minute = hour - 1, -1
    return (hours[hour], minutes[minute], seconds[second]) if hour >= 0 else None
