/* The load driver: saves over HTTP or over channels, and prepared requests, from one thread and one epoll.
 *
 * Promise: it says what it did (sent, answered, refused), how long each answer took, and how much CPU it cost itself.
 * Closed loop (--rate 0): always --outstanding requests under way; the next leaves when an answer comes.
 * Open loop (--rate R): requests are due at fixed instants, whether answers come or not; a latency counts from the
 * instant at which the request was due, so a server that stalls cannot hide it (no coordinated omission).
 * Not here: what the answers mean beyond their status and their type.
 *
 * Protocol with its parent: prints `ready` when all connections stand, waits for a line, works, prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, UPGRADING, GREETING, IDLE, BUSY, DEAD };
enum { READ_BYTES = 1 << 18, REQUEST_BYTES = 1 << 16, TICK_NS = 200000, TURN_NS = 200000, CONNECTING_MAX = 128, SETTLE_S = 5 };

struct connection {
    int fd;
    uint8_t state;
    uint32_t sitting;    /* channels: whose it is */
    uint32_t idle_at;    /* its place among the idle ones */
    uint64_t due_ns;     /* of the request under way */
    char *kept;          /* the beginning of an answer that is not complete */
    uint32_t kept_bytes;
};

struct item { char *name; char **values; int count; };
struct prepared { char *path, *token, *body; };

static int port, connections = 256, outstanding = 256, channel, wait_key;
static double seconds = 3, warm_s = 0.5, rate;
static long first_seq = 1, first_sitting, sittings_max = -1;
static const char *path = "/v1/sitting/responses", *answer = "\"type\":\"saved\"", *source = "127.0.0.1", *to_address = "127.0.0.1", *keep_path;

static char **tokens; static long tokens_count;
static long *seqs;
static struct item *items; static long items_count;
static struct prepared *list; static long list_count, list_next;

static struct connection *all; static uint32_t *idle; static long idle_count, ready_count, opening;
static int epoll_fd, timer_fd = -1;
static FILE *keep_file;
static uint32_t *latencies_us; static long latencies_count, latencies_cap;
static long sent, answered, counted, refused, broken, keys_seen;
static uint64_t count_from_ns, count_until_ns, last_answer_ns;
static double key_first_ms, key_last_ms;
static char first_fault[400];
static char reading[READ_BYTES], writing[REQUEST_BYTES];
static uint64_t dice;

static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static double wall_ms(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }
static double cpu_s(void) {
    struct rusage used; getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
static uint64_t chance(uint64_t below) { dice ^= dice << 13; dice ^= dice >> 7; dice ^= dice << 17; return dice % below; }
/* Who measures must not wait behind what it measures: short turns of a processor, where the kernel (6.12 on) has them. */
static void take_short_turns(void) {
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t turn_ns, deadline_ns, period_ns; }
        wish = {48, 0, 0, getpriority(PRIO_PROCESS, 0), 0, TURN_NS, 0, 0};
    syscall(SYS_sched_setattr, 0, &wish, 0); /* refused or not known: it waits as everybody does */
}
static void die(const char *what) { fprintf(stderr, "driver: %s: %s\n", what, strerror(errno)); exit(2); }

static void fault(const char *what, const char *said, size_t bytes) {
    if (first_fault[0]) return;
    int at = snprintf(first_fault, sizeof first_fault, "%s: ", what);
    for (size_t i = 0; i < bytes && at < (int)sizeof first_fault - 1; i++) {
        unsigned char c = said[i];
        first_fault[at++] = (c < 32 || c > 126) ? ' ' : c == '"' ? '\'' : c == '\\' ? '/' : c;
    }
    first_fault[at] = 0;
}

/* --- what is sent ------------------------------------------------------------------------------------------- */

static size_t http(const char *method, const char *to, const char *token, const char *body, size_t body_bytes) {
    int head = snprintf(writing, sizeof writing,
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        method, to, *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "", body_bytes);
    if (head + body_bytes >= sizeof writing) { errno = EMSGSIZE; die("a request"); }
    memcpy(writing + head, body, body_bytes);
    return head + body_bytes;
}

static size_t frame(const char *text, size_t bytes) {
    static const unsigned char mask[4] = {0x5a, 0xc3, 0x71, 0x2e}; /* any: what matters is that the server undoes it */
    size_t at = 0;
    writing[at++] = (char)0x81;
    if (bytes < 126) writing[at++] = (char)(0x80 | bytes);
    else { writing[at++] = (char)(0x80 | 126); writing[at++] = bytes >> 8; writing[at++] = bytes & 255; }
    memcpy(writing + at, mask, 4); at += 4;
    for (size_t i = 0; i < bytes; i++) writing[at + i] = text[i] ^ mask[i & 3];
    return at + bytes;
}

static size_t save(long sitting, char *body, size_t cap) {
    struct item *item = &items[chance(items_count)];
    return snprintf(body, cap, "{%s\"changes\":[{\"item\":\"%s\",\"seq\":%ld,\"value\":%s}]}",
        channel ? "\"type\":\"save\"," : "", item->name, seqs[sitting]++, item->values[chance(item->count)]);
}

static void lose(struct connection *c, const char *why, const char *said, size_t bytes);

static void put(struct connection *c, size_t bytes) {
    ssize_t written = send(c->fd, writing, bytes, MSG_NOSIGNAL);
    if (written != (ssize_t)bytes) lose(c, "write", strerror(errno), strlen(strerror(errno)));
}

static void take_idle(struct connection *c) {
    idle[c->idle_at] = idle[--idle_count];
    all[idle[c->idle_at]].idle_at = c->idle_at;
}

static void give_idle(struct connection *c) {
    c->state = IDLE; c->idle_at = idle_count; idle[idle_count++] = c - all;
}

/* Send the next request on a random idle connection; 0 when none is left to send. */
static int send_next(uint64_t due_ns) {
    static char body[REQUEST_BYTES];
    if (list && list_next >= list_count) return 0;
    struct connection *c = &all[idle[chance(idle_count)]];
    size_t bytes;
    if (list) {
        struct prepared *p = &list[list_next++];
        bytes = http(*p->body ? "POST" : "GET", p->path, p->token, p->body, strlen(p->body));
    } else if (channel) {
        bytes = frame(body, save(c->sitting, body, sizeof body));
    } else {
        long sitting = first_sitting + chance(sittings_max);
        size_t body_bytes = save(sitting, body, sizeof body);
        bytes = http("POST", path, tokens[sitting], body, body_bytes);
    }
    take_idle(c);
    c->state = BUSY; c->due_ns = due_ns; sent++;
    put(c, bytes);
    return 1;
}

/* --- what comes back ---------------------------------------------------------------------------------------- */

static void lose(struct connection *c, const char *why, const char *said, size_t bytes) {
    if (c->state == DEAD) return;
    fault(why, said, bytes);
    broken++;
    if (c->state == IDLE) take_idle(c);
    if (c->state < IDLE) { opening--; ready_count++; }
    c->state = DEAD; close(c->fd); free(c->kept); c->kept = NULL;
}

static void settle(struct connection *c, int ok) {
    uint64_t now = now_ns();
    last_answer_ns = now;
    answered++;
    if (!ok) refused++;
    else if (now >= count_from_ns && now < count_until_ns) {
        counted++;
        if (latencies_count < latencies_cap) latencies_us[latencies_count++] = (now - c->due_ns) / 1000;
    }
    give_idle(c);
}

static void become_ready(struct connection *c) { opening--; ready_count++; give_idle(c); }

static void greet(struct connection *c) {
    char hello[600];
    int bytes = snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"token\":\"%s\"}", tokens[c->sitting]);
    c->state = GREETING;
    put(c, frame(hello, bytes));
}

/* One whole HTTP answer at `text`; how many bytes it took, 0 when it is not complete. */
static size_t take_http(struct connection *c, char *text, size_t bytes) {
    char *end = memmem(text, bytes, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = end - text + 4, length = 0;
    char was = *end; *end = 0;
    char *told = strcasestr(text, "content-length:");
    if (told) length = strtoul(told + 15, NULL, 10);
    int status = atoi(text + 9);
    *end = was;
    if (c->state == UPGRADING) {
        if (status != 101) { lose(c, "upgrade", text, bytes); return 0; }
        greet(c);
        return head;
    }
    if (bytes < head + length) return 0;
    if (status >= 300) fault("answer", text + head, length);
    if (keep_file && !wait_key) { fwrite(text + head, 1, length, keep_file); fputc('\n', keep_file); }
    if (c->state == BUSY) settle(c, status < 300);
    return head + length;
}

static void take_text(struct connection *c, char *text, size_t bytes) {
    if (c->state == BUSY && memmem(text, bytes, answer, strlen(answer))) { settle(c, 1); return; }
    if (memmem(text, bytes, "\"type\":\"error\"", 14)) {
        fault("channel", text, bytes);
        if (c->state == BUSY) settle(c, 0);
    } else if (memmem(text, bytes, "\"type\":\"paper_key\"", 18)) {
        double at = wall_ms();
        if (!keys_seen++) key_first_ms = at;
        key_last_ms = at;
        if (keep_file && wait_key) fprintf(keep_file, "%.3f\n", at);
    }
    if (c->state == GREETING) become_ready(c);
}

static size_t take_frame(struct connection *c, char *raw, size_t bytes) {
    unsigned char *at = (unsigned char *)raw;
    if (bytes < 2) return 0;
    size_t head = 2, length = at[1] & 127;
    if (length == 126) { if (bytes < 4) return 0; head = 4; length = at[2] << 8 | at[3]; }
    else if (length == 127) {
        if (bytes < 10) return 0;
        head = 10; length = 0;
        for (int i = 2; i < 10; i++) length = length << 8 | at[i];
    }
    if (bytes < head + length) return 0;
    int opcode = at[0] & 15;
    if (opcode == 1) take_text(c, raw + head, length);
    else if (opcode == 9) { size_t out = frame(raw + head, length); writing[0] = (char)0x8a; put(c, out); }
    else if (opcode == 8) { lose(c, "closed", raw + head + 2, length > 2 ? length - 2 : 0); return 0; }
    return head + length;
}

static void receive(struct connection *c) {
    size_t have = c->kept_bytes;
    if (have) memcpy(reading, c->kept, have);
    ssize_t got = recv(c->fd, reading + have, sizeof reading - have - 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) { lose(c, "closed", got ? strerror(errno) : "end of file", got ? strlen(strerror(errno)) : 11); return; }
    size_t bytes = have + got, at = 0;
    reading[bytes] = 0;
    while (at < bytes && c->state != DEAD) {
        int is_frame = channel && c->state >= GREETING;
        size_t took = is_frame ? take_frame(c, reading + at, bytes - at) : take_http(c, reading + at, bytes - at);
        if (!took) break;
        at += took;
    }
    if (c->state == DEAD) return;
    if (at < bytes) {
        char *kept = realloc(c->kept, bytes - at);
        memcpy(kept, reading + at, bytes - at);
        c->kept = kept; c->kept_bytes = bytes - at;
    } else if (c->kept) { free(c->kept); c->kept = NULL; c->kept_bytes = 0; }
}

/* --- connecting --------------------------------------------------------------------------------------------- */

static void start_connecting(long index) {
    struct connection *c = &all[index];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, from = {.sin_family = AF_INET};
    inet_pton(AF_INET, to_address, &to.sin_addr);
    inet_pton(AF_INET, source, &from.sin_addr);
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    c->state = CONNECTING; c->sitting = first_sitting + index;
    opening++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    struct epoll_event wish = {.events = EPOLLIN | EPOLLOUT, .data.u32 = index};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &wish)) die("epoll_ctl");
}

static void connected(struct connection *c) {
    int failed = 0; socklen_t size = sizeof failed;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed) { lose(c, "connect", strerror(failed), strlen(strerror(failed))); return; }
    struct epoll_event wish = {.events = EPOLLIN, .data.u32 = c - all};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &wish);
    if (!channel) { become_ready(c); return; }
    int bytes = snprintf(writing, sizeof writing,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n", path);
    c->state = UPGRADING;
    put(c, bytes);
}

static void turn(int timeout_ms) {
    static struct epoll_event events[512];
    int count = epoll_wait(epoll_fd, events, 512, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == UINT32_MAX) { uint64_t ticks; if (read(timer_fd, &ticks, 8) < 0) continue; continue; }
        struct connection *c = &all[events[i].data.u32];
        if (c->state == DEAD) continue;
        if (c->state == CONNECTING) { if (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) connected(c); }
        else if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(c);
    }
}

static void connect_all(void) {
    long next = 0;
    while (ready_count < connections) {
        while (next < connections && opening < CONNECTING_MAX) start_connecting(next++);
        turn(1000);
    }
}

/* --- the run ------------------------------------------------------------------------------------------------ */

static void closed_loop(uint64_t until_ns) {
    uint64_t now;
    while ((now = now_ns()) < until_ns) {
        while (sent - answered < outstanding && idle_count) if (!send_next(now_ns())) return;
        if (broken >= connections) return;
        turn(10);
    }
}

static void open_loop(uint64_t from_ns, uint64_t until_ns) {
    uint64_t due_count = 0, now;
    double every_ns = 1e9 / rate;
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};
    timerfd_settime(timer_fd, 0, &tick, NULL);
    struct epoll_event wish = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &wish);
    while ((now = now_ns()) < until_ns) {
        uint64_t due_ns;
        while (idle_count && (due_ns = from_ns + (uint64_t)(due_count * every_ns)) <= now) {
            if (!send_next(due_ns)) return;
            due_count++;
        }
        if (broken >= connections) return;
        turn(10);
    }
}

static int by_size(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return (x > y) - (x < y); }
static double at_share(double share) {
    return latencies_count ? latencies_us[(long)(share * (latencies_count - 1))] / 1e3 : 0;
}

/* --- what it is told ---------------------------------------------------------------------------------------- */

static char **lines(const char *name, long *count) {
    FILE *file = fopen(name, "r");
    if (!file) die(name);
    char **found = NULL, *line = NULL; size_t cap = 0; ssize_t bytes; long room = 0;
    *count = 0;
    while ((bytes = getline(&line, &cap, file)) > 0) {
        if (line[bytes - 1] == '\n') line[bytes - 1] = 0;
        if (*count == room) found = realloc(found, (room = room * 2 + 64) * sizeof *found);
        found[(*count)++] = strdup(line);
    }
    fclose(file);
    return found;
}

static void read_items(const char *name) {
    char **rows = lines(name, &items_count);
    items = calloc(items_count, sizeof *items);
    for (long i = 0; i < items_count; i++) {
        items[i].name = strsep(&rows[i], "\t");
        for (char *value; (value = strsep(&rows[i], "\t"));) {
            items[i].values = realloc(items[i].values, (items[i].count + 1) * sizeof(char *));
            items[i].values[items[i].count++] = value;
        }
    }
}

static void read_list(const char *name) {
    char **rows = lines(name, &list_count);
    list = calloc(list_count + 1, sizeof *list);
    for (long i = 0; i < list_count; i++)
        list[i] = (struct prepared){strsep(&rows[i], "\t"), strsep(&rows[i], "\t"), rows[i]};
}

static void read_arguments(int count, char **given) {
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = given[i], *value = given[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--connections")) connections = atoi(value);
        else if (!strcmp(name, "--outstanding")) outstanding = atoi(value);
        else if (!strcmp(name, "--channel")) channel = atoi(value);
        else if (!strcmp(name, "--wait-key")) wait_key = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--warm")) warm_s = atof(value);
        else if (!strcmp(name, "--rate")) rate = atof(value);
        else if (!strcmp(name, "--first-seq")) first_seq = atol(value);
        else if (!strcmp(name, "--first-sitting")) first_sitting = atol(value);
        else if (!strcmp(name, "--sittings")) sittings_max = atol(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--answer")) answer = value;
        else if (!strcmp(name, "--source")) source = value;
        else if (!strcmp(name, "--to")) to_address = value;
        else if (!strcmp(name, "--seed")) dice = strtoull(value, NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
        else if (!strcmp(name, "--tokens")) tokens = lines(value, &tokens_count);
        else if (!strcmp(name, "--items")) read_items(value);
        else if (!strcmp(name, "--requests")) read_list(value);
        else if (!strcmp(name, "--keep")) keep_path = value;
        else { fprintf(stderr, "driver: unknown option %s\n", name); exit(2); }
    }
    if (!dice) dice = 0x9e3779b97f4a7c15ull;
    if (sittings_max < 0) sittings_max = tokens_count - first_sitting;
    if (!port || connections < 1 || (!list && (!tokens_count || !items_count)) || sittings_max < 0
        || first_sitting + (channel ? connections : sittings_max) > (list ? INT64_MAX : tokens_count)) {
        fprintf(stderr, "driver: expected --port, and --requests or enough --tokens and --items\n");
        exit(2);
    }
}

int main(int count, char **given) {
    read_arguments(count, given);
    take_short_turns();
    all = calloc(connections, sizeof *all);
    idle = calloc(connections, sizeof *idle);
    seqs = malloc((tokens_count + 1) * sizeof *seqs);
    for (long i = 0; i < tokens_count; i++) seqs[i] = first_seq;
    latencies_cap = 1 << 24;
    latencies_us = malloc(latencies_cap * sizeof *latencies_us);
    if (keep_path && !(keep_file = fopen(keep_path, "w"))) die(keep_path);
    epoll_fd = epoll_create1(0);
    connect_all();
    printf("ready %ld\n", connections - broken); fflush(stdout);

    /* Keys may come before the parent says go, and must be stamped when they come. */
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    char word;
    for (ssize_t got; (got = read(0, &word, 1)) != 1; turn(wait_key ? 5 : 20)) if (!got) return 1; /* no parent any more */

    double cpu_before = cpu_s();
    uint64_t from = now_ns(), until = from + (uint64_t)((warm_s + seconds) * 1e9);
    count_from_ns = from + (uint64_t)(warm_s * 1e9);
    count_until_ns = until;
    if (wait_key) while (now_ns() < until && keys_seen + broken < connections) turn(50);
    else if (rate > 0) open_loop(from, until);
    else closed_loop(until);
    if (list || rate > 0) count_until_ns = UINT64_MAX; /* open loop: the late ones are the point */
    uint64_t give_up = now_ns() + SETTLE_S * 1000000000ull;
    while (sent - answered > 0 && now_ns() < give_up && broken < connections) turn(50);
    double took = ((last_answer_ns < until && list ? last_answer_ns : until) - count_from_ns) / 1e9, used = cpu_s() - cpu_before;
    double span = (now_ns() - from) / 1e9;
    if (keep_file) fclose(keep_file);
    qsort(latencies_us, latencies_count, sizeof *latencies_us, by_size);
    printf("{\"seconds\":%.6f,\"span_s\":%.6f,\"sent\":%ld,\"answered\":%ld,\"counted\":%ld,\"refused\":%ld,\"broken\":%ld,"
        "\"unanswered\":%ld,\"cpu_s\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
        "\"keys_seen\":%ld,\"key_first_ms\":%.3f,\"key_last_ms\":%.3f,\"fault\":\"%s\"}\n",
        took, span, sent, answered, counted, refused, broken, sent - answered, used, at_share(.5), at_share(.99), at_share(1),
        keys_seen, key_first_ms, key_last_ms, first_fault);
    return 0;
}
