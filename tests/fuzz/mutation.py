"""Makes new inputs from a corpus: bytes flipped, tokens put in, pieces taken out, doubled, or spliced from others."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MAX_SIZE = 65536
HIGHEST = 1 << 16
OPERATIONS = 8


def load(folder):
    """The inputs in a folder, in the order of their names."""
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]


def mutated(data, edits, corpus, tokens):
    """The input after edits, each of them four numbers below `HIGHEST`: what to do, where, and with what."""
    for kind, where, what, size in edits:
        at = where % (len(data) + 1)
        token = tokens[what % len(tokens)]
        other = corpus[what % len(corpus)]
        begin = size % (len(other) + 1)
        end = at + 1 + size % 64
        match kind % OPERATIONS:
            case 0:
                data = data[:at] + bytes(byte ^ (1 + what % 255) for byte in data[at:at + 1]) + data[at + 1:]
            case 1:
                data = data[:at] + token + data[at:]
            case 2:
                data = data[:at] + token + data[end:]
            case 3:
                data = data[:at] + data[end:]
            case 4:
                data = data[:at] + data[at:end] * (2 + what % 3) + data[end:]
            case 5:
                data = data[:at] + other[begin:]
            case 6:
                data = data[:at] + other[begin:begin + 1 + what % 256] + data[at:]
            case 7:
                data = _swapped(data, token, what)
        data = data[:MAX_SIZE]
    return data


def _swapped(data, token, what):
    """A token in place of a text between tags, a line, or a value: nothing else around it changes."""
    ends = [at for at, byte in enumerate(data) if byte in b"<\n"]
    if not ends:
        return token
    end = ends[what % len(ends)]
    begin = max(data.rfind(b">", 0, end), data.rfind(b"\n", 0, end), data.rfind(b"=", 0, end)) + 1
    return data[:begin] + token + data[end:]
