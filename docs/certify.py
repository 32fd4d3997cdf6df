"""Write the certificates of the bundled specs: `make certificates`, after a change of what computes or builds costs."""

import json

from llmarch_cli.models import load
from llmarch_cli.profilers.certificates import FILE
from llmarch_cli.profilers.profile import certify_all
from llmarch_cli.specs.loading import names, specs_directory


def main() -> None:
    """Run both engines on all bundled specs."""
    found = certify_all(map(load, names()))
    lines = (f"{json.dumps(key)}: {json.dumps(certificate.data())}" for key, certificate in found.items())
    (specs_directory() / FILE).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
