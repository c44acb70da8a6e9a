"""What Redis and PostgreSQL are set to, and whether next month has a place: judged against what was promised. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from engine.preflight.finding import Finding, amber, counted, green, named, red

DURABILITY, POSTGRESQL, MONTHS, PARTITIONS = "durability", "postgresql", "months", "partitions"
VERSIONS = "versions"
# What makes `committed` mean on disk, and on more than this one cache.
POSTGRESQL_WANTED = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on"}
_SYNCED = frozenset({"on", "remote_write", "remote_apply", "local"})  # each waits for this server's own disk
POSTGRESQL_VERSION_MIN = 150000


def judge_durability(faults: Sequence[str], servers: Sequence[str], silent: Sequence[str]) -> list[Finding]:
    """`faults` as arming would refuse them; `silent`: servers that do not tell their configuration."""
    if faults:
        told = "; ".join(faults)
        do_zh, do_en = (
            "改正 Redis 配置并写入配置文件（CONFIG REWRITE）",
            "set it right, and in its file (CONFIG REWRITE)",
        )
        return [
            red(DURABILITY, f"“已保存”不等于已落盘：{told}", f"`saved` would not mean on disk: {told}", do_zh, do_en)
        ]
    if silent:
        zh, en = f"{named(silent)} 不允许查看配置", f"{named(silent)} does not tell its configuration"
        return [
            amber(DURABILITY, zh, en, "向服务商确认 appendfsync always", "have its provider confirm appendfsync always")
        ]
    settings = "appendonly yes, appendfsync always, no-appendfsync-on-rewrite no, noeviction"
    return [
        green(
            DURABILITY,
            f"{named(servers)}：{settings}，最近一次写入成功",
            f"{named(servers)}: {settings}, last write ok",
        )
    ]


def judge_postgresql(
    settings: Mapping[str, str], version: int, pending_restart: Sequence[str], *, is_replica: bool
) -> list[Finding]:
    """`settings` as a session gets them that asks for nothing."""
    wrong = [
        f"{name}={settings[name]}"
        for name, wanted in POSTGRESQL_WANTED.items()
        if name in settings
        and settings[name] != wanted
        and not (name == "synchronous_commit" and settings[name] in _SYNCED)
    ]
    if version < POSTGRESQL_VERSION_MIN:
        wrong.append(f"version {version // 10000}, expected 15 or newer")
    if is_replica:
        wrong.append("it is a replica that takes no writes")
    if wrong:
        told = ", ".join(wrong)
        do_zh, do_en = (
            "改正设置（ALTER SYSTEM、ALTER ROLE 或 DSN），重新加载",
            "mend the setting (ALTER SYSTEM, ALTER ROLE), reload",
        )
        return [
            red(
                POSTGRESQL, f"PostgreSQL 设置不可靠：{told}", f"PostgreSQL is not set as promised: {told}", do_zh, do_en
            )
        ]
    if pending_restart:
        told = named(pending_restart)
        zh, en = f"设置改过但要重启才生效：{told}", f"changed, and not in force before a restart: {told}"
        return [
            amber(POSTGRESQL, zh, en, "考前重启 PostgreSQL，或改回", "restart PostgreSQL before the exam, or undo it")
        ]
    told = ", ".join(f"{name}={settings[name]}" for name in POSTGRESQL_WANTED if name in settings)
    major = version // 10000
    return [green(POSTGRESQL, f"PostgreSQL {major}：{told}", f"PostgreSQL {major}: {told}")]


def judge_role(process: str, fault: str, excess: str) -> Finding:
    """How one kind of process reaches PostgreSQL: not at all (`fault`), with more rights than it needs, or well."""
    if fault:
        zh, en = f"{process} 连不上 PostgreSQL：{fault}", f"{process} cannot reach PostgreSQL: {fault}"
        do = f"LIANKAO_{process.upper()}_DSN"
        return red(POSTGRESQL, zh, en, f"检查 {do}", f"look at {do}", subject=process)
    if excess:
        do_zh, do_en = "按手册为它设置自己的数据库角色", "give it its own role, as the manual says"
        return amber(POSTGRESQL, f"{process}：{excess}", f"{process}: {excess}", do_zh, do_en, subject=process)
    return green(POSTGRESQL, f"{process} 以自己的角色连接", f"{process} connects as its own role", subject=process)


def judge_schema(pending: Sequence[str], unknown: Sequence[str], newest: str) -> list[Finding]:
    """Migrations that the database lacks, and those that it has and this release does not know."""
    if pending:
        zh, en = f"数据库缺少迁移：{named(pending)}", f"the database lacks migrations: {named(pending)}"
        return [red(VERSIONS, zh, en, "./run migrate", "./run migrate", subject="schema")]
    if unknown:
        zh = f"数据库比这份程序新（{named(unknown)}）：这份程序是旧的"
        en = f"the database is newer than this release ({named(unknown)}): this checkout is the old one"
        do_zh, do_en = "把所有节点升级到同一版本", "bring all nodes to one release"
        return [red(VERSIONS, zh, en, do_zh, do_en, subject="schema")]
    return [green(VERSIONS, f"数据库结构为 {newest}", f"the database is at {newest}", subject="schema")]


def judge_months(missing: Sequence[str], later: Sequence[str], stray: Sequence[str]) -> list[Finding]:
    """Names of tables' months: lacking by tomorrow, lacking for batches later on, and with rows that found none."""
    do_zh, do_en = "确认 recorder 在运行：它会自动建表", "see that a recorder runs: it makes them"
    if missing:
        told = named(missing)
        return [red(MONTHS, f"缺少明天需要的分区表：{told}", f"tomorrow's tables are missing: {told}", do_zh, do_en)]
    if later or stray:
        told = named([*later, *stray])
        zh, en = (
            f"以后的分区表未建，或有行落在默认分区：{told}",
            f"later months are missing, or have rows astray: {told}",
        )
        return [amber(MONTHS, zh, en, do_zh, do_en)]
    return [
        green(MONTHS, "今明两天及已启封批次的分区表都在", "the tables of today, tomorrow and all armed batches exist")
    ]


class Partition(Struct, frozen=True, kw_only=True):
    """One partition in both stores: Redis's marker, and PostgreSQL's row with its lease."""

    number: int
    generation: int | None  # None: Redis has no marker
    recorded_generation: int | None  # None: PostgreSQL has no row
    is_held: bool
    is_doubtful: bool = False
    is_restoring: bool = False
    answers: bool = True  # its Redis node does


def judge_partitions(partitions: Sequence[Partition]) -> list[Finding]:
    """One finding over all of them, red where saves would not be taken or not be recorded."""
    faults: dict[str, tuple[str, list[str]]] = {
        "silent": ("Redis 节点没有应答", []),
        "not built": ("在 Redis 中没有标记", []),
        "without a lease": ("没有 recorder 持有", []),
        "of another generation in PostgreSQL": ("在 PostgreSQL 中的代比 Redis 新", []),
    }
    soft: dict[str, tuple[str, list[str]]] = {
        "doubtful": ("等待核对", []),
        "being restored": ("正在恢复", []),
    }
    for each in partitions:
        name = f"p{each.number:02d}"
        if not each.answers:
            faults["silent"][1].append(name)
            continue
        if each.generation is None:
            faults["not built"][1].append(name)
        elif each.recorded_generation is not None and each.recorded_generation > each.generation:
            faults["of another generation in PostgreSQL"][1].append(name)
        if not each.is_held:
            faults["without a lease"][1].append(name)
        if each.is_doubtful:
            soft["doubtful"][1].append(name)
        if each.is_restoring:
            soft["being restored"][1].append(name)
    do_zh, do_en = (
        "确认 recorder 在运行并看它的日志（手册：recovery.md）",
        "see that a recorder runs, read its log (recovery.md)",
    )
    if any(names for _, names in faults.values()):
        zh, en = _told(faults)
        return [red(PARTITIONS, zh, en, do_zh, do_en)]
    if any(names for _, names in soft.values()):
        zh, en = _told(soft)
        return [amber(PARTITIONS, zh, en, do_zh, do_en)]
    generations = sorted({each.generation or 0 for each in partitions})
    newest = generations[-1] if generations else 0
    zh = f"{len(partitions)} 个分区都已建好并有 recorder 持有，最新的代 {newest}"
    en = f"{counted(len(partitions), 'partition')} built and held by recorders, newest generation {newest}"
    return [green(PARTITIONS, zh, en)]


def _told(faults: Mapping[str, tuple[str, list[str]]]) -> tuple[str, str]:
    zh = "；".join(f"{named(names)} {said}" for said, names in faults.values() if names)
    return zh, "; ".join(f"{named(names)} {said}" for said, (_, names) in faults.items() if names)
