"""Tells where a running `tendon up` spends its time: shares per stage from samples of `perf`.

    perf record -F 997 -g -e cpu-clock -p PID -o perf.data -- sleep 10       while the load runs
    perf script -i perf.data -F comm,ip,sym,dso | bench/python/stages.py     the table; --unknown lists what no rule names

Each sample counts once, for the first rule that fits its innermost frames. What the kernel does is told by its entry (a send, a
sync, a wait), what the program does by the name of the function it is in, or of the nearest caller where that one is nobody's
(memory copies, the allocator stay their own rows). Without frame pointers callers within the program are often unknown, so a
function counts by itself: the compiler has put small ones into their callers.
"""

import collections
import re
import sys

# All that these threads do belongs to one stage, also what the kernel does for them.
THREADS = {"store": "projections (SQLite)", "sync": "ledger write and sync"}
# First match wins, from the top. The kernel's rules see its whole stack, the program's the frame itself.
KERNEL = [
    ("kernel: network", r"tcp_|inet_|sock_|__sys_(send|recv)|net_rx|ip_rcv|ip_output|skb|__napi|loopback|unix_stream"),
    ("ledger write and sync", r"fdatasync|fsync|pwrite|ksys_write|vfs_write|ext4|jbd2|blk_|submit_bio|io_submit|writeback"),
    ("kernel: memory", r"page_fault|mmap|munmap|madvise|clear_page|brk|handle_mm"),
    ("kernel: waiting and waking", r"futex|epoll|schedule|eventfd|try_to_wake|timerfd|hrtimer|pick_next|sched"),
    ("kernel: rest", r""),
]
PROGRAM = [
    ("projections (SQLite)", r"sqlite3|^(pager|btree|vdbe|wal|pcache|balance|cellSize|moveToChild)|rusqlite|stores::|overlay|projector"),
    ("inference", r"tendon_models"),
    ("sealing, commitments, hashes", r"ring|chacha|poly1305|aes|gcm|sha256|sha2|sha512|hmac|ed25519|curve25519|bcm|seal|commitment|tlog|tree::|merkle"),
    ("allocator", r"mi_|mimalloc|malloc|free$|realloc|alloc::alloc"),
    ("JSON", r"serde_json|zmij|ryu|itoa|json|simd_json|lexical|dec2flt|flt2dec|float_to"),
    ("validation", r"validate|schema|plan::expr|tendon_plan|regex"),
    ("ledger write and sync", r"tendon_ledger|crc32"),
    ("path, outbox and watch", r"tendon_engine|tendon_flows|tendon_kernel|tendon_connectors"),
    ("HTTP and doors", r"hyper|httparse|axum|tower|http::|tendon_doors|matchit|httpdate|h2::"),
    ("runtime (tokio)", r"tokio|mio|parking_lot|std::sync|arc_swap|futures"),
    ("text and formatting", r"core::(str|fmt|num|slice)|chrono|Display"),
    ("memory copies and comparisons", r"mem(cpy|move|set|cmp)|bcmp"),
    ("hash maps and collections", r"hashbrown|BTreeMap|btree::|sip|HashMap|collections"),
    ("clock", r"clock_gettime|vdso|Instant|SystemTime"),
]
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \(([^()]*|\[.*\])\)$")


def samples(lines):
    """One list of (symbol, object) per sample, innermost first, with the thread's name."""
    frames, thread = [], ""
    for line in lines:
        line = line.rstrip("\n")
        found = FRAME.match(line)
        if found:
            frames.append((found[1], found[2]))
        elif line.strip():
            thread = line.split()[0]
        elif frames:
            yield thread, frames
            frames = []
    if frames:
        yield thread, frames


def in_kernel(frame):
    return "kernel" in frame[1] or frame[1].endswith(".ko") or frame[1] == "[guest.kernel.kallsyms]"


def stage(thread, frames):
    if thread in THREADS:
        return THREADS[thread]
    kernel = [symbol for symbol, _ in (frame for frame in frames if in_kernel(frame))]
    if frames and in_kernel(frames[0]):
        stack = " ".join(kernel)
        return next(name for name, rule in KERNEL if re.search(rule, stack))
    for symbol, _ in frames[:4]:
        for name, rule in PROGRAM:
            if re.search(rule, symbol):
                return name
    return "not told apart"


def main():
    shares, unknown, threads = collections.Counter(), collections.Counter(), collections.Counter()
    for thread, frames in samples(sys.stdin):
        name = stage(thread, frames)
        shares[name] += 1
        threads[thread] += 1
        if name == "not told apart":
            unknown[frames[0][0]] += 1
    total = sum(shares.values())
    if not total:
        sys.exit("no samples: is this the output of `perf script -F comm,ip,sym,dso`?")
    print("| stage | share |\n|---|---:|")
    for name, count in shares.most_common():
        print(f"| {name} | {100 * count / total:.1f} % |")
    print(f"\n{total} samples; by thread: " + ", ".join(f"{name} {100 * n / total:.0f} %" for name, n in threads.most_common(8)))
    if "--unknown" in sys.argv:
        for symbol, count in unknown.most_common(40):
            print(f"{100 * count / total:5.2f} %  {symbol}")


main()
