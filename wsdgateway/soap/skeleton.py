"""Recognises a repeated message by its bytes: everything before and after the text of its MessageID.

A client that polls sends the same message again and again with another MessageID (WS-Addressing 2004/08, section 3).
With the bytes around the MessageID as a key, such a message is recognised without parsing its XML.
"""

from wsdgateway.soap.encodings import is_usual

# The characters of an id that may take the place of another one. None of them has a meaning in XML, and none begins a
# character of several bytes.
ID_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-"
_TAG = b"MessageID>"

Skeleton = tuple[bytes, bytes]


def split(raw: bytes) -> tuple[Skeleton, bytes]:
    """The bytes before and after the text of the first element whose name ends with MessageID, and this text.

    Without such an element the text is empty.
    """
    before, _, rest = raw.partition(_TAG)
    message_id, _, after = rest.partition(b"<")
    return (before, after), message_id


def is_replaceable(message_id: bytes) -> bool:
    """Return whether an id has only characters that may take the place of another id of the same length."""
    return bool(message_id) and not message_id.translate(None, ID_CHARACTERS)


def skeleton_of(raw: bytes, document: bytes, charset: str | None, message_id: str | None) -> Skeleton | None:
    """The skeleton of a message that was read in full, where any other id of the same length would be read the same.

    `raw` are the bytes of the request that ends with the document, `message_id` is the id that was read. Returns None
    if the id cannot be located without doubt: it must occur once, in a document in UTF-8 without character references
    and CDATA.
    """
    skeleton, found = split(raw)
    if (is_replaceable(found) and found.decode("ascii") == message_id and raw.count(found) == 1
            and is_usual(document, charset) and document.isascii() and b"&" not in document and b"<!" not in document):
        return skeleton
    return None
