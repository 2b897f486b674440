"""Makes new inputs from a corpus: flips bytes, inserts tokens, and removes, repeats or splices pieces."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MAX_SIZE = 65536
HIGHEST = 1 << 16
OPERATIONS = 8


def load(folder):
    """Returns the inputs in a folder, in the order of their names."""
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()]


def mutated(data, edits, corpus, tokens):
    """Returns the input after edits. Each edit is four numbers below `HIGHEST`: operation, place, material and size."""
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
                data = _replaced(data, token, what)
        data = data[:MAX_SIZE]
    return data


def _replaced(data, token, what):
    """Replaces a text between tags, a line or a value by a token, and keeps everything around it."""
    ends = [at for at, byte in enumerate(data) if byte in b"<\n"]
    if not ends:
        return token
    end = ends[what % len(ends)]
    begin = max(data.rfind(b">", 0, end), data.rfind(b"\n", 0, end), data.rfind(b"=", 0, end)) + 1
    return data[:begin] + token + data[end:]
