"""Write the file."""

import json

from softaxis.testing._recording import FILE, record

if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), separators=(",", ":")) + "\n", encoding="utf-8")
