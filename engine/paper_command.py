"""The words of `./run paper`; what they do is ceremony.py and draw.py, imported only when they are asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

_USUAL = (2, 3)  # of three people one may be ill


def arguments(made: argparse.ArgumentParser) -> None:
    acts = made.add_subparsers(metavar="draw|seal|split|verify|arm", required=True, dest="act")
    draw = acts.add_parser("draw", help="draw question sets from an item bank by a blueprint")
    draw.add_argument("--bank", type=Path, required=True, metavar="FILE", help="items with topic and difficulty")
    draw.add_argument("--blueprint", type=Path, required=True, metavar="FILE", help="how many of which")
    draw.add_argument("--seed", required=True, metavar="TEXT", help="the same gives the same papers")
    draw.add_argument("--forms", type=int, required=True, metavar="N", help="how many papers")
    draw.add_argument("--out", type=Path, required=True, metavar="DIR", help="made; the papers in it are readable")
    draw.add_argument("--exposure", type=Path, metavar="FILE", help="which items earlier draws used; made if missing")
    seal = acts.add_parser("seal", help="seal a question set for one batch into a package")
    seal.add_argument("paper", type=Path, metavar="QUESTION_SET", help="as PUT /v1/papers takes it")
    seal.add_argument("--batch", required=True, metavar="ID", help="the one batch that the package is for")
    seal.add_argument("--grader-key", type=Path, required=True, metavar="FILE", help="what `secrets public` printed")
    seal.add_argument("--signing-key", type=Path, required=True, metavar="FILE", help="the author's; made if missing")
    seal.add_argument("-o", "--output", type=Path, required=True, metavar="PACKAGE", help="to be pushed")
    seal.add_argument("--key-to", type=Path, metavar="FILE", help="the paper key, to be split later")
    split = acts.add_parser("split", help="split a paper key that lies in a file")
    split.add_argument("key", type=Path, metavar="KEY_FILE")
    split.add_argument("package", type=Path, metavar="PACKAGE")
    for act in (seal, split):
        act.add_argument(
            "--split", type=parts, default=_USUAL, metavar="K/N", help="any K of N shares open; default 2/3"
        )
        act.add_argument(
            "--shares-to", type=Path, required=act is split, metavar="DIR", help="one file for each holder"
        )
    verify = acts.add_parser("verify", help="what a package, or a sealed paper, holds, without showing content")
    verify.add_argument("package", type=Path, metavar="PACKAGE")
    verify.add_argument("--keys", type=Path, metavar="FILE", help='whom to trust: {"keys": [...]} as in GET /v1/keys')
    arm = acts.add_parser("arm", help="open shares here and arm their batch with them")
    arm.add_argument("--url", required=True, metavar="URL", help="the engine")
    arm.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="an API key of scope schedule")
    arm.add_argument("--witness", action="append", required=True, metavar="NAME", help="twice, two people")
    for act in (verify, arm):
        act.add_argument("--share", type=Path, action="append", default=[], metavar="FILE", help="once for each share")
    for act in (seal, split, verify, arm):
        act.add_argument(
            "--passphrases", type=Path, metavar="FILE", help="one a line, in the shares' order; without, they are asked"
        )


def parts(text: str) -> tuple[int, int]:
    """K/N, as in 2/3."""
    k, _, n = text.partition("/")
    if not (k.isascii() and k.isdigit() and n.isascii() and n.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected K/N, as in 2/3")
    return int(k), int(n)


def run(chosen: argparse.Namespace) -> list[str]:
    """The lines to show. Raises CeremonyFault."""
    from engine import ceremony, draw

    if chosen.act == "draw":
        return draw.draw_papers(chosen.bank, chosen.blueprint, chosen.seed, chosen.forms, chosen.out, chosen.exposure)
    if chosen.act == "seal":
        return ceremony.seal(
            chosen.paper,
            chosen.batch,
            chosen.grader_key,
            chosen.signing_key,
            chosen.output,
            chosen.key_to,
            chosen.split,
            chosen.shares_to,
            chosen.passphrases,
        )
    if chosen.act == "split":
        return ceremony.split(chosen.key, chosen.package, chosen.split, chosen.shares_to, chosen.passphrases)
    if chosen.act == "verify":
        return ceremony.verify(chosen.package, chosen.keys, chosen.share, chosen.passphrases)
    return ceremony.arm(chosen.url, chosen.key_file, chosen.share, chosen.passphrases, chosen.witness)
