import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import fc from "fast-check";
import { parseArgs, UsageError } from "../../scripts/bench/args.ts";
import { selfSigned } from "../../scripts/bench/host/quic_certificate.ts";
import { describeLink, parseLink } from "../../scripts/bench/host/link_spec.ts";
import { Direction, seededRandom } from "../../scripts/bench/programs/link_program.ts";
import {
  type BenchReport,
  medianFigures,
  ratioText,
  table,
} from "../../scripts/bench/bench_report.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios/mod.ts";
import { median, percentile } from "../../scripts/bench/percentiles.ts";

// cspell:ignore frobnicate

const NAMES = Object.keys(SCENARIOS);
const MAIN = new URL("../../scripts/bench/main.ts", import.meta.url).pathname;

/** Runs the benchmark as `deno task bench` does. */
async function bench(...args: string[]): Promise<Deno.CommandOutput & { text: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--no-check", MAIN, ...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { ...output, text: text.decode(output.stdout) + text.decode(output.stderr) };
}

Deno.test("the scenarios of the issue are there", () => {
  const wanted = [
    ...["bulk", "bulk-both", "echo", "many-streams", "ping", "dial", "first-contact"],
    ...["datagram", "relay", "idle"],
  ];
  assert.deepEqual(wanted.filter((name) => SCENARIOS[name]?.byDefault !== true), []);
});

Deno.test("parseArgs reads scenarios and options in any order", () => {
  const options = parseArgs(
    [
      ...["--json", "out.json", "bulk", "--variant=linux,portable", "ping"],
      ...["--peers", "quic,nebula", "bulk"],
    ],
    NAMES,
  )!;
  assert.deepEqual(options.scenarios, ["bulk", "ping"]);
  assert.equal(options.json, "out.json");
  assert.deepEqual(options.variants, ["linux", "portable"]);
  assert.deepEqual(options.peers, ["quic", "nebula"]);
  assert.equal(options.rounds, 3);
  assert.equal(options.loopback, false);
  assert.deepEqual(parseArgs(["--peers", "none"], NAMES)!.peers, []);
  assert.equal(parseArgs(["--help"], NAMES), undefined);
});

Deno.test("parseArgs takes --link and --bytes for bulk", () => {
  const linked = parseArgs(["bulk", "--link", "100mbit,50ms,1%"], NAMES)!;
  assert.deepEqual(linked.link, { rate: 100e6, rttMs: 50, loss: 0.01 });
  assert.equal(parseArgs(["bulk", "--bytes", "1e9"], NAMES)!.bytes, 1e9);
});

Deno.test("parseArgs says what is wrong", () => {
  const wrong: [string[], RegExp][] = [
    [["blk"], /Unknown scenario: blk/],
    [["--fast"], /Unknown option: --fast/],
    [["--json"], /--json needs a value/],
    [["--rounds", "0"], /--rounds must be a number from 1/],
    [["--rounds", "1.5"], /--rounds must be a whole number/],
    [["--variant", "go"], /--variant: unknown name "go"/],
    [["--peers", "quic,curl"], /--peers: unknown name "curl"/],
    [["bulk", "--link", "fast"], /--link: "fast" is not RATE,RTT,LOSS/],
    [["ping", "--bytes", "10"], /--bytes goes with the scenario bulk/],
    [["bulk", "--bytes", "10", "--link", "-,1,0"], /cannot be combined/],
  ];
  for (const [args, message] of wrong) {
    assert.throws(
      () => parseArgs(args, NAMES),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      args.join(" "),
    );
  }
});

Deno.test("parseLink reads back what it describes", () => {
  assert.deepEqual(parseLink("-,200,0"), { rate: undefined, rttMs: 200, loss: 0 });
  assert.deepEqual(parseLink("2.5Gbit, 10ms, 0.5%"), { rate: 2.5e9, rttMs: 10, loss: 0.005 });
  for (const text of ["100,1,1", "100mbit,-1,0", "100mbit,1,60%", "1kbit,1,1", "1mbit,1"]) {
    assert.equal(typeof parseLink(text), "string", text);
  }
  assert.equal(
    describeLink({ rate: 1e8, rttMs: 50, loss: 0.01 }),
    "100 Mbit/s, 50 ms round trip, 1 % loss each way",
  );
});

Deno.test("percentile and median lie within the samples", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2);
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4);
  const samples = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 });
  fc.assert(fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
    assert.ok(values.includes(percentile(values, share)));
  }));
});

Deno.test("medianFigures takes the median of speeds and the peak of memory", () => {
  const rounds = [{ mb_s: 10, rss_mb: 50 }, { mb_s: 30, rss_mb: 90 }, { mb_s: 20, rss_mb: 70 }];
  assert.deepEqual(medianFigures(rounds), { mb_s: 20, rss_mb: 90 });
});

Deno.test("the table shows every contender with its version and how ours compares", () => {
  assert.equal(ratioText({ mb_s: 50 }, { mb_s: 100 }), "ours 0.5 x (MB/s)");
  assert.equal(ratioText({ p50_ms: 2 }, { p50_ms: 1 }), "ours 2 x (p50 ms, less is better)");
  const lines = table("bulk", {
    topology: "loopback",
    ours: { mb_s: 50 },
    variants: { portable: { mb_s: 10 } },
    peers: { quic: { version: "quinn 0.11.8", mb_s: 100 } },
    skipped: { "wireguard-go": "needs root" },
  });
  assert.deepEqual(lines, [
    "bulk: loopback",
    "                     MB/s",
    "  ours                 50",
    "  ours portable        10  ours 5 x (MB/s)",
    "  quic quinn 0.11.8   100  ours 0.5 x (MB/s)",
    "  wireguard-go: skipped, needs root",
  ]);
});

Deno.test("seededRandom repeats itself and is even", () => {
  const take = (seed: number) => Array.from({ length: 10_000 }, seededRandom(seed));
  assert.deepEqual(take(7), take(7));
  assert.notDeepEqual(take(7), take(8));
  const lost = take(7).filter((value) => value < 0.05).length;
  assert.ok(lost > 400 && lost < 600, `${lost} of 10000 below 0.05`);
});

Deno.test("a Direction of the link delays, keeps the order, and loses the same packets in every run", () => {
  const run = () => {
    const direction = new Direction({ delayMs: 25, loss: 0.1, seed: 3 });
    const arrived: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      direction.push(new Uint8Array([i >> 8, i]), i / 10);
      for (let packet; (packet = direction.take(i / 10)) !== undefined;) {
        const number = packet[0]! << 8 | packet[1]!;
        assert.ok(i - number >= 250 && i - number <= 251, "25 ms and no longer than needed");
        arrived.push(number);
      }
    }
    while (direction.take(direction.dueMs) !== undefined);
    return { arrived, counters: direction.counters };
  };
  const { arrived, counters } = run();
  assert.deepEqual(arrived, arrived.toSorted((a, b) => a - b));
  assert.ok(counters.lost > 240 && counters.lost < 360, `${counters.lost} of 3000`);
  assert.equal(counters.packets + counters.lost, 3_000);
  assert.equal(counters.bytes, counters.packets * 2);
  assert.deepEqual(run(), { arrived, counters });
});

Deno.test("selfSigned makes a certificate that others can read and verify", async () => {
  const { cert, key } = selfSigned("localhost");
  const parsed = new X509Certificate(cert);
  assert.equal(parsed.subject, "O=Pilot benchmark");
  assert.equal(parsed.checkHost("localhost"), "localhost");
  assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
  const server = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const alpnProtocols = ["test"];
  const listener = server.listen({ cert, key, alpnProtocols });
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const [client, accepted] = await Promise.all([
    Deno.connectQuic({
      hostname: "127.0.0.1",
      port: server.addr.port,
      serverName: "localhost",
      alpnProtocols,
      caCerts: [cert],
      endpoint,
    }),
    listener.incoming().then((incoming) => incoming.accept()),
  ]);
  assert.equal(client.protocol, "test");
  client.close({ closeCode: 0, reason: "" });
  await accepted.closed;
  listener.stop();
  endpoint.close();
  server.close();
});

Deno.test("bench writes the report of a tiny run", async () => {
  const directory = await Deno.makeTempDir({ prefix: "pilot-bench-test-" });
  try {
    const file = join(directory, "report.json");
    const { code, text } = await bench(
      ...["ping", "--json", file, "--rounds", "1", "--peers", "tcp", "--variant", "portable"],
    );
    assert.equal(code, 0, text);
    const report: BenchReport = JSON.parse(await readFile(file, "utf8"));
    assert.deepEqual(Object.keys(report.scenarios), ["ping"]);
    assert.equal(report.machine.deno, Deno.version.deno);
    assert.equal(report.machine.node, process.versions.node);
    const { topology, ours, peers } = report.scenarios.ping!;
    assert.equal(topology, "loopback");
    assert.deepEqual(Object.keys(peers), ["tcp"]);
    const { version } = peers.tcp!;
    assert.ok(version.endsWith(` ${Deno.osRelease()}`), version);
    assert.ok(text.includes(`tcp ${version}`), text);
    for (const { p50_ms, p99_ms, ops_s } of [ours, peers.tcp!]) {
      assert.ok(p50_ms! > 0 && p99_ms! >= p50_ms! && ops_s! > 0);
    }
    assert.match(text, /ours [\d.]+ x \(p50 ms, less is better\)/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("bench refuses a command line it cannot follow", async () => {
  const { code, text } = await bench("--frobnicate");
  assert.equal(code, 2);
  assert.match(text, /Unknown option: --frobnicate[\s\S]*Usage:/);
});
