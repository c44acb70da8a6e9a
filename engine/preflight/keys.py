"""Keys, shares and certificates: whether what must open tomorrow will open. Pure.

No paper key is unwrapped here: a preflight that could read tomorrow's paper would be the leak it looks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from engine.preflight.finding import Finding, amber, counted, green, named, red

SECRETS, PROVIDER, SHARES, CERTIFICATES = "secrets", "provider", "shares", "certificates"
DAYS_LOW = 21
_DAY_MS = 86_400_000


def judge_secrets(folder: str, faults: Mapping[str, str], missing: Sequence[str], found: Sequence[str]) -> Finding:
    """Key files by name: at fault (and why), not there, and good. Each machine has only those its roles read."""
    if faults:
        told = "; ".join(faults.values())
        do_zh, do_en = "chmod 600，或从备份恢复该文件", "chmod 600, or restore the file from its copy"
        return red(SECRETS, f"密钥文件有问题：{told}", f"key files are at fault: {told}", do_zh, do_en, subject=folder)
    if missing:
        zh = f"此处有 {len(found)} 个密钥文件，没有：{named(missing, 8)}"
        en = f"{len(found)} key files are here, not: {named(missing, 8)}"
        do_zh, do_en = "确认它们在各自的机器上且有备份", "see that they are on their machines, and copied"
        return amber(SECRETS, zh, en, do_zh, do_en, subject=folder)
    return green(SECRETS, f"{len(found)} 个密钥文件齐全", f"all {len(found)} key files are good", subject=folder)


def judge_registered(name: str, key_id: str, is_newest: bool, is_known: bool) -> Finding:
    """Whether the public half of a signing or answer key in the folder is the one that the deployment uses."""
    if is_newest:
        return green(SECRETS, f"{name} 即在用的密钥 {key_id}", f"{name} is the key in use, {key_id}", subject=name)
    if is_known:
        zh, en = (
            f"{name}（{key_id}）已登记，但最近登记的是另一把",
            f"{name} ({key_id}) is registered, another came later",
        )
        do_zh, do_en = (
            "若多台机器各有一把，属正常；否则查明是谁",
            "right where machines have one each; else find whose it is",
        )
        return amber(SECRETS, zh, en, do_zh, do_en, subject=name)
    zh, en = (
        f"{name}（{key_id}）没有登记：引擎用的不是它",
        f"{name} ({key_id}) is not registered: the engine uses another",
    )
    return red(SECRETS, zh, en, "确认 LIANKAO_SECRETS_DIR", "look at LIANKAO_SECRETS_DIR", subject=name)


def judge_provider(name: str, fault: str) -> Finding:
    """Whether the key provider wrapped a random secret just now and gave it back."""
    if fault:
        zh, en = f"密钥提供者 {name} 不可用：{fault}", f"key provider {name} cannot be used: {fault}"
        return red(PROVIDER, zh, en, "检查 wrap.key 或令牌设备", "look at wrap.key, or at the token")
    return green(PROVIDER, f"密钥提供者 {name} 能封能开", f"key provider {name} wraps and unwraps")


def judge_wrapped(batch_id: str, papers: int, foreign: Sequence[str], *, can_tell: bool) -> Finding:
    """Whether the paper keys of an armed batch are wrapped by the key that is here; told without opening any."""
    if foreign:
        told = named(foreign)
        zh, en = (
            f"封存的试卷密钥不是用本机的密钥封的：{told}",
            f"paper keys are not wrapped by the key that is here: {told}",
        )
        do_zh, do_en = (
            "恢复启封时的 wrap.key，或撤销启封后重新启封",
            "restore the wrap.key of the arming, or disarm and arm again",
        )
        return red(PROVIDER, zh, en, do_zh, do_en, subject=batch_id)
    if not can_tell:
        zh, en = f"{papers} 把试卷密钥由本提供者的格式封存", f"{papers} paper keys have this provider's form"
        return green(PROVIDER, zh, en, subject=batch_id)
    return green(
        PROVIDER, f"{papers} 把试卷密钥到时能开", f"{counted(papers, 'paper key')} will open", subject=batch_id
    )


def judge_answer_keys(batch_id: str, recipients: Sequence[str], recipient: str | None) -> Finding:
    """Whether the grader that runs is the one to whom the answers of an armed batch are sealed."""
    foreign = sorted(set(recipients) - {recipient or ""})
    if foreign:
        zh = f"答案封给了 {named(foreign)}，而在用的 grader 是 {recipient}"
        en = f"its answers are sealed to {named(foreign)}, the grader in use is {recipient}"
        do_zh, do_en = "恢复原来的 grader.key，否则无法评分", "bring the former grader.key back, or it cannot be graded"
        return red(PROVIDER, zh, en, do_zh, do_en, subject=batch_id)
    return green(
        PROVIDER,
        f"答案封给在用的 grader {recipient}",
        f"its answers are for the grader in use, {recipient}",
        subject=batch_id,
    )


class Share(Struct, frozen=True, kw_only=True):
    """What a share's file says in the clear."""

    batch_id: str
    sealed_digest: str
    split_id: str
    k: int
    n: int
    index: int


def judge_shares(batch_id: str, papers: Mapping[str, str], shares: Sequence[Share]) -> list[Finding]:
    """Of a draft whose papers came sealed: paper id -> digest of its package, and the shares that are at hand."""
    found = []
    for paper_id, digest in papers.items():
        ours = [share for share in shares if share.sealed_digest == digest]
        splits = {share.split_id: share for share in ours}
        most = max(
            (
                (len({one.index for one in ours if one.split_id == split}), share.k, share.n)
                for split, share in splits.items()
            ),
            default=None,
        )
        do_zh, do_en = "召集持有人，用 ./run paper arm 启封", "bring the holders together, arm with ./run paper arm"
        if most is None and not shares:
            zh, en = (
                f"试卷 {paper_id} 离线封存，要凭份额启封",
                f"paper {paper_id} was sealed offline: arming takes shares",
            )
            found.append(
                amber(
                    SHARES,
                    zh,
                    en,
                    f"{do_zh}；可用 --share 预查",
                    f"{do_en}; --share checks them before",
                    subject=batch_id,
                )
            )
        elif most is None or most[0] < most[1]:
            count = most[0] if most else 0
            wanted = f"{most[1]}/{most[2]}" if most else "?"
            zh = f"试卷 {paper_id}：手头有 {count} 份属于它的份额，需要 {wanted}"
            en = f"paper {paper_id}: {count} of the shares at hand are its own, needed {wanted}"
            found.append(red(SHARES, zh, en, do_zh, do_en, subject=batch_id))
        else:
            zh = f"试卷 {paper_id}：份额够了（{most[0]} 份，需要 {most[1]}/{most[2]}）"
            en = f"paper {paper_id}: enough shares ({most[0]}, needed {most[1]} of {most[2]})"
            found.append(green(SHARES, zh, en, subject=batch_id))
    return found


def judge_certificate(url: str, expires_ms: int, now_ms: int, needed_until_ms: int) -> Finding:
    """`needed_until_ms`: the end of the last batch looked at."""
    days = (expires_ms - now_ms) // _DAY_MS
    zh, en = f"证书还有 {days} 天", f"the certificate has {days} days left"
    do_zh, do_en = "更换证书", "renew it"
    if expires_ms <= max(now_ms, needed_until_ms):
        return red(
            CERTIFICATES, f"{zh}，考试结束前就会过期", f"{en}: it ends before the exams do", do_zh, do_en, subject=url
        )
    if days < DAYS_LOW:
        return amber(CERTIFICATES, zh, en, do_zh, do_en, subject=url)
    return green(CERTIFICATES, zh, en, subject=url)


def judge_bad_certificate(url: str, fault: str) -> Finding:
    """What a browser would refuse."""
    zh, en = f"浏览器不会接受这个证书：{fault}", f"no browser would take the certificate: {fault}"
    return red(
        CERTIFICATES,
        zh,
        en,
        "更换证书，或用 --ca 指明自己的根证书",
        "renew it, or name your own root with --ca",
        subject=url,
    )


def judge_no_certificate(url: str, *, is_loopback: bool) -> Finding:
    """Plain HTTP: a browser gives a page its cryptography only on the machine itself."""
    if is_loopback:
        zh, en = "本机地址，不经 TLS", "an address of this machine, without TLS"
        return green(CERTIFICATES, zh, en, subject=url)
    zh, en = "没有 TLS：浏览器在这个地址上打不开试卷", "no TLS: at this address no browser can open a paper"
    return amber(
        CERTIFICATES,
        zh,
        en,
        "检查考生实际使用的 https 地址",
        "look at the https address that candidates use",
        subject=url,
    )
