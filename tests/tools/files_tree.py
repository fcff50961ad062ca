"""A tree of a thousand files with awkward names, of nothing to 64 MiB: what transfers must carry unharmed."""
import hashlib
import random

ENDINGS = ["plain.txt", "with space", "it's", '"quoted"', "semi;colon", "100%", "%2e%2e", "a+b&c=d", "\u00fcml\u00e4ut", "\ud55c\uae00",
           "\u2603\U0001f600", "e\u0301", "-dash", "~tilde", "[brackets]{braces}", "comma,", "#hash", "question?", "star*",
           "<angle>", "pipe|", "$dollar", "`tick`", "back.tar.gz", ".hidden", "filename=x", "name*=utf-8''x", "frontier--"]


def make_tree(root, count=1000):
    """Makes it below @p root and returns the names, relative and with `/`. No two have the same last component."""
    generator = random.Random(5)
    noise = generator.randbytes(1 << 20)
    names = []
    for i in range(count):
        name = f"d{i % 13}/" + ("sub folder \u00e9/" if i % 3 == 0 else "") + f"{i} {ENDINGS[i % len(ENDINGS)]}"
        if i % 20 == 7:  # of 200 characters
            name = f"long/{'n' * 60}/{'n' * 60}/{i}-"
            name += "n" * (200 - len(name))
        size = 0 if i % 50 == 0 else i * 37 % 5000
        if i % 100 == 1:  # around the sizes of buffers
            size = (1 << 16) - 1 + i // 100 % 3
        if i % 250 == 2:
            size = 3 << 20
        if i == 3:
            size = 64 << 20
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for begin in range(0, size, len(noise)):
                piece = f"{i}/{begin}\n".encode() + noise
                file.write(piece[:min(len(noise), size - begin)])
        names.append(name)
    return names


def sums(root):
    """The SHA-256 of each file below @p root, by its name."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}
