#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Charges the engine by hand, through libubc.so.0, and reads what it counted."""

import ctypes
import sys

ubc = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libubc.so.0")
ubc.ubc_message.restype = ubc.ubc_version.restype = ctypes.c_char_p
ubc.ubc_reading_text.restype = ctypes.c_char_p

OK, INVALID, REFUSED = 0, -1, -9
HARD, NUMFILE = 0, 19


class Limit(ctypes.Structure):
    _fields_ = [
        ("resource", ctypes.c_uint32),
        ("barrier", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
    ]


class Row(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in "held maxheld barrier limit failcnt".split()]
    _fields_ += [("metered_by", ctypes.c_char_p), ("enforced_by", ctypes.c_char_p)]
    _fields_ += [("measured", ctypes.c_uint8), ("enforced", ctypes.c_uint8)]


def check(result):
    if result < 0:
        sys.exit(f"{result}: {ubc.ubc_message().decode()}")


engine, reading, row = ctypes.c_void_p(), ctypes.c_void_p(), Row()
check(ubc.ubc_beancounter_new(101, ctypes.byref(engine)))
check(ubc.ubc_beancounter_set(engine, ctypes.byref(Limit(NUMFILE, 2, 2)), ctypes.c_size_t(1)))
for expected in (OK, OK, REFUSED):
    result = ubc.ubc_beancounter_charge(engine, NUMFILE, ctypes.c_uint64(1), HARD)
    assert result == expected, (result, ubc.ubc_message())
print(ubc.ubc_message().decode())
assert ubc.ubc_beancounter_uncharge(engine, NUMFILE, ctypes.c_uint64(3)) == INVALID
check(ubc.ubc_beancounter_read(engine, ctypes.byref(reading)))
check(ubc.ubc_reading_row(reading, NUMFILE, ctypes.byref(row)))
assert (row.held, row.maxheld, row.limit, row.failcnt) == (0, 2, 2, 1)
print(ubc.ubc_reading_text(reading).decode(), end="")
ubc.ubc_reading_free(reading)
ubc.ubc_beancounter_free(engine)
# Wrong pointers and numbers are errors, not crashes.
assert ubc.ubc_beancounter_charge(None, NUMFILE, ctypes.c_uint64(1), HARD) == INVALID
assert ubc.ubc_message() == b"beancounter is NULL"
assert ubc.ubc_beancounter_new(0xFFFFFFFF, ctypes.byref(engine)) == INVALID
assert ubc.ubc_reading_text(None) is None
