# SPDX-License-Identifier: Apache-2.0
"""MRTD: what the firmware's pages come to, written out once more by hand."""

import hashlib

from tests.guest.image_files import firmware, tdx_rows
from trustedpods.guest.firmware import PAGE, parse_firmware
from trustedpods.guest.trust_domain import PageOrder, mrtd


def by_hand(rows, order: str) -> str:
    """One list of records, the order by sorting it: the module's loops are not used."""
    data = firmware(tdx=rows)
    records = []
    for number, (offset, size, address, memory, _, attributes) in enumerate(rows):
        if attributes & 2:
            continue
        content = data[offset : offset + size] + bytes(memory - size)
        for at in range(0, memory, 256):
            page = at // PAGE
            place = (number, page, 1, at) if order == "page-by-page" else (number, 1, page, at)
            if at % PAGE == 0:
                before = (number, page, 0, 0) if order == "page-by-page" else (number, 0, page, 0)
                added = b"MEM.PAGE.ADD\0\0\0\0" + (address + at).to_bytes(8, "little") + bytes(104)
                records.append((before, added))
            if attributes & 1:
                record = b"MR.EXTEND\0\0\0\0\0\0\0" + (address + at).to_bytes(8, "little") + bytes(104)
                records.append((place, record + content[at : at + 256]))
    return hashlib.sha384(b"".join(record for _, record in sorted(records))).hexdigest()


def test_both_orders_as_by_hand():
    rows = tdx_rows(3)
    image = parse_firmware(firmware(tdx=rows), "fd")
    for order in PageOrder:
        assert mrtd(image, order, "fd").hex() == by_hand(rows, order)


def test_only_what_is_extended_counts_by_its_bytes():
    data = bytearray(firmware())
    before = mrtd(parse_firmware(bytes(data), "fd"), PageOrder.PAGE_BY_PAGE, "fd")
    data[5] ^= 1
    assert mrtd(parse_firmware(bytes(data), "fd"), PageOrder.PAGE_BY_PAGE, "fd") != before
    rows = [(0, 2 * PAGE, 0, 2 * PAGE, 0, 0)]
    plain = mrtd(parse_firmware(firmware(tdx=rows), "fd"), PageOrder.PAGE_BY_PAGE, "fd")
    other = bytearray(firmware(tdx=rows))
    other[5] ^= 1
    assert mrtd(parse_firmware(bytes(other), "fd"), PageOrder.PAGE_BY_PAGE, "fd") == plain
