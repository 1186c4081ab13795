/**
 * Whatever peers, registry, broker and files say, a terminal gets one harmless line of it, a pipe no forged one, and
 * JSON the same value without a character that a terminal interprets. Every command is run.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { catalog } from "../../cli/catalog.ts";
import { buildProgram, type CliHost } from "../../cli/main.ts";
import type { Roles } from "../../cli/roles.ts";
import { PilotError } from "../../protocol/errors.ts";
import { replaceUnsafe } from "../../protocol/untrusted_text.ts";
import { FakeConn, type FakeDriver, run, type RunOptions, withDir } from "./support.ts";

/** Sets the title, clears the screen, turns the direction, hides, and forges a line. */
const HOSTILE =
  "x\u001b]0;PWNED\u0007\u001b[2J\u009b31m\u202e\u200b\u2028\u{e0041}\r\n[trusted] FORGED";
const BYTES = new TextEncoder().encode(HOSTILE);

const lie = (value: unknown) => () => Promise.resolve(value);

const INFO = {
  ...{ node_id: 5, pid: 1, address: HOSTILE, hostname: HOSTILE, version: HOSTILE },
  ...{ uptime_secs: 1, connections: 1, ports: 1, peers: 1, encrypt: true, encrypted_peers: 1 },
  ...{ authenticated_peers: 1, identity: true, public_key: HOSTILE, email: HOSTILE },
  networks: [{ network_id: 1, address: HOSTILE }],
  ...{ bytes_sent: 1, bytes_recv: 1, pkts_sent: 1, pkts_recv: 1, handshake_pending_count: 0 },
  ...{ tags: [HOSTILE], registration: "retrying", registration_error: HOSTILE, registry: HOSTILE },
  ...{ path_mode: HOSTILE, public: true },
  conn_list: [{
    ...{ id: 1, local_port: 1, remote_addr: HOSTILE, remote_port: 1, state: HOSTILE, srtt_ms: 1 },
    ...{ in_flight: 1, cong_win: 1, bytes_sent: 1, bytes_recv: 1, retransmits: 1 },
  }],
  peer_list: [{ node_id: 7, endpoint: HOSTILE, authenticated: true, relay: false }],
};

const PATH = {
  ...{ node_id: 7, route: HOSTILE, endpoint: HOSTILE, since_ms: 1, rtt_ms: 1, path_mtu: 1, mss: 1 },
  ...{ reason_code: HOSTILE, reason: HOSTILE, next_search_ms: 1 },
  candidates: [{
    ...{ endpoint: HOSTILE, kind: HOSTILE, state: HOSTILE, rtt_ms: 1, answered: 1, sent: 1 },
    last_answer_ms: 1,
  }],
};

/** Says it once, then ends. */
function once(value: unknown) {
  let isSaid = false;
  return {
    next: () => {
      const now = isSaid ? undefined : value;
      isSaid = true;
      return Promise.resolve(now);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A peer that answers with the text. */
/** Says its words when it is spoken to, or at once. */
function hostileConn(isFirst = false): FakeConn {
  const speak = (_: unknown, conn: FakeConn) =>
    [BYTES, undefined].forEach((part) => conn.push(part));
  const conn = new FakeConn(isFirst ? undefined : speak);
  if (isFirst) speak(undefined, conn);
  return conn;
}

const ADDRESS = { network: 0, node: 7 };
const RECEIPT = { address: ADDRESS, bytes: 5, ack: `ACK ${HOSTILE}`, type: HOSTILE };

/** A daemon whose peers and registry all lie. */
function lyingDriver(): FakeDriver {
  const answer = { node_id: 7, status: HOSTILE, address: HOSTILE, hostname: HOSTILE };
  const driver: Record<string, unknown> = {
    info: lie(INFO),
    health: lie({ ...INFO, status: HOSTILE, uptime_seconds: 1 }),
    path: lie(PATH),
    resolveTarget: lie(ADDRESS),
    registry: {
      resolve: lie({ ...answer, public: true }),
      handshakeTarget: lie(answer),
      lookup: lie({ ...answer, [HOSTILE]: { [HOSTILE]: HOSTILE } }),
      setHostname: lie(answer),
      setTags: lie({ ...answer, tags: [HOSTILE] }),
      setVisibility: lie({ ...answer, visibility: HOSTILE }),
      deregister: lie(answer),
      releaseHold: lie(answer),
    },
    trust: {
      request: lie(answer),
      open: lie({
        pending: [{ node_id: 7, justification: HOSTILE, received_at: 1 }],
        outgoing: [{ node_id: 8, requested_at: 1 }],
        refused: [{ node_id: 9, reason: HOSTILE, refused_at: 1 }],
      }),
      peers: lie([{
        node_id: 7,
        mutual: true,
        network: 0,
        approved_at: 1,
        public_key: HOSTILE,
      }]),
      approve: lie(answer),
      reject: lie(answer),
      revoke: lie(answer),
    },
    sendMessage: lie(RECEIPT),
    sendFile: lie({
      ...{ ...RECEIPT, name: HOSTILE, resumed: 0, sha256: HOSTILE, verified: true },
      transport: HOSTILE,
    }),
    subscribe: lie(once({ topic: HOSTILE, payload: BYTES })),
    publish: lie(undefined),
    events: lie(once({ id: 1, name: HOSTILE, atMs: 1, data: { justification: HOSTILE } })),
    networks: {
      list: lie([{ id: 1, name: HOSTILE, members: 1, join_rule: HOSTILE }]),
      join: lie(answer),
      leave: lie(answer),
      members: lie([{ ...answer, role: HOSTILE }]),
      invite: lie(answer),
      invites: lie([{ network_id: HOSTILE, inviter_id: HOSTILE, timestamp: 1 }]),
      respond: lie(answer),
      kick: lie(answer),
      unban: lie(answer),
      bans: lie([{ node_id: HOSTILE, banned_at: 1 }]),
      promote: lie(answer),
      demote: lie(answer),
      transfer: lie(answer),
      setToken: lie(answer),
    },
    names: () => ({
      queryAddress: lie(ADDRESS),
      queryNetwork: lie(HOSTILE),
      queryService: lie([{ name: HOSTILE, address: ADDRESS, port: 1 }]),
      registerAddress: lie(undefined),
    }),
    dial: () => Promise.resolve(hostileConn()),
    listen: lie({ accept: () => Promise.resolve(hostileConn(true)), ...once(undefined) }),
    datagrams: () => {
      const { next: receive, ...rest } = once({ data: BYTES, source: ADDRESS, sourcePort: 1 });
      return { receive, ...rest };
    },
    sendDatagram: lie(undefined),
    ping: lie({ rtt_ms: HOSTILE, relayed: true }),
  };
  return driver as FakeDriver;
}

/** Every call of it fails with words of somebody else. */
function failingDriver(): FakeDriver {
  const failure = new PilotError("unavailable", HOSTILE, { hint: HOSTILE });
  const fail = () => Promise.reject(failure);
  const group = new Proxy({}, { get: () => fail });
  return new Proxy({}, {
    has: () => true,
    get: (_, name) =>
      name === "then"
        ? undefined
        : name === "close"
        ? () => Promise.resolve()
        : ["networks", "trust", "registry"].includes(String(name))
        ? group
        : name === "names"
        ? () => group
        : fail,
  });
}

const ROLES: Partial<Roles> = {
  rendezvousStatus: () =>
    Promise.resolve(() =>
      Promise.resolve({ running: true, reason: HOSTILE, version: HOSTILE, registry: HOSTILE })
    ),
  rendezvousStore: () =>
    Promise.resolve({
      backup: () => Promise.resolve({ bytes: 1, nodes: 1, schema: 1 }),
      import: () => Promise.resolve({ counts: { [HOSTILE]: 1 }, warnings: [HOSTILE] }),
    }),
};

/** Arguments for each command. Those that must quote what they were told begin with true. */
const CASES: Readonly<Record<string, readonly [quotes: boolean, ...args: string[]][]>> = {
  init: [[false, "--hostname", "x"]],
  join: [[false, `pilot://r:1?beacon=r:2&fingerprint=${"ab".repeat(32)}`, "--print"]],
  config: [[true], [true, "--set", `email=${HOSTILE}`]],
  context: [[false]],
  completions: [[false, "bash"]],
  version: [[false]],
  "daemon status": [[true]],
  info: [[true]],
  health: [[true]],
  peers: [[true]],
  path: [[true, "bob"]],
  connections: [[true]],
  find: [[true, "bob"]],
  lookup: [[true, "7"]],
  "set-hostname": [[false, "bob"]],
  "clear-hostname": [[false]],
  "set-tags": [[true, HOSTILE]],
  "clear-tags": [[false]],
  "set-public": [[false]],
  "set-private": [[false]],
  deregister: [[false]],
  handshake: [[true, "bob"]],
  pending: [[true]],
  approve: [[false, "7"]],
  reject: [[false, "7", HOSTILE]],
  trust: [[true]],
  untrust: [[false, "7"]],
  "send-message": [[true, "bob", "--data", "x"]],
  "send-file": [[true, "bob", "/x"]],
  inbox: [[true], [true, "read", "TEXT"], [false, "read", "BINARY"], [true, "--from", "bob"]],
  received: [[true]],
  subscribe: [[true, "bob", "*"], [true, "bob", "*", "--count", "1"]],
  publish: [[true, "bob", HOSTILE, "--data", "x"]],
  events: [[true], [true, "--count", "1"]],
  "network list": [[true]],
  "network join": [[true, "3"]],
  "network leave": [[false, "3"]],
  "network members": [[true, "3"]],
  "network invite": [[false, "3", "bob"]],
  "network invites": [[true]],
  "network accept": [[false, "3"]],
  "network decline": [[false, "3"]],
  "network kick": [[false, "3", "bob"]],
  "network unban": [[false, "3", "bob"]],
  "network bans": [[true, "3"]],
  "network promote": [[false, "3", "bob"]],
  "network demote": [[false, "3", "bob"]],
  "network transfer": [[false, "3", "bob"]],
  "network set-token": [[false, "3"]],
  "network release-hold": [[false]],
  "name query": [[true, "ns", "S", "0", "80"], [true, "ns", "N", HOSTILE], [
    true,
    "ns",
    "A",
    HOSTILE,
  ]],
  "name register": [[true, "ns", "A", HOSTILE]],
  connect: [[true, "bob", "7", "--message", "x"]],
  send: [[true, "bob", "7", "--data", "x"]],
  recv: [[true, "1000"]],
  listen: [[true, "1000", "--count", "1"]],
  dgram: [[false, "bob", "7", "--data", "x"]],
  ping: [[false, "bob", "--count", "1"]],
  "rendezvous status": [[true]],
  "rendezvous backup": [[true, HOSTILE]],
  "rendezvous import": [[true, HOSTILE]],
};

/** Not run here, and why. */
const EXEMPT: readonly string[] = [
  ...["daemon run", "gateway run", "rendezvous", "rendezvous run"], // print through `announce`, see log_test.ts
  ...["daemon start", "daemon stop"], // need a process: daemon_process_test.ts
  "bench", // shows its own figures only
  ...["netcheck", "doctor"], // need a network: their own tests; what they show is fields and safe templates
];

/** Their answer is bytes, which a pipe gets as they came. */
const RAW_ON_A_PIPE: readonly string[] = ["connect", "send", "recv", "listen", "inbox read"];
/** They show one message and nothing else, so that its lines are nobody else's. */
const OWN_LINES: readonly string[] = ["connect", "send", "inbox read"];

const { root } = buildProgram({ stdout: { isTerminal: false, write() {} } } as unknown as CliHost);

Deno.test("every command has a case with hostile peers", () => {
  const commands = Object.keys(catalog(root).commands).filter((name) => !EXEMPT.includes(name));
  assert.deepEqual(Object.keys(CASES).sort(), commands.sort());
});

/** A home in which files speak, too. */
async function withHome(body: (options: RunOptions) => Promise<void>): Promise<void> {
  await withDir(async (home) => {
    await Deno.mkdir(join(home, "inbox"));
    await Deno.mkdir(join(home, "received"));
    const message = { type: HOSTILE, from: "0:0000.0000.0007", bytes: 1, data: HOSTILE };
    const name = "TEXT-20261121-013400.123-000042.json";
    await Deno.writeTextFile(join(home, "inbox", name), JSON.stringify(message));
    const binary = { ...message, data: BYTES.toBase64(), data_encoding: "base64" };
    const other = "BINARY-20261121-013400.124-000043.json";
    await Deno.writeTextFile(join(home, "inbox", other), JSON.stringify(binary));
    await Deno.writeTextFile(join(home, "received", HOSTILE.replaceAll("/", "")), "x");
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify({ note: HOSTILE }));
    await body({ env: { PILOT_HOME: home, PILOT_NETWORK_TOKEN: HOSTILE } });
  });
}

function rolesOf(): Partial<CliHost> {
  return { roles: ROLES as Roles };
}

/** Our own styles taken away. */
// deno-lint-ignore no-control-regex -- styles begin with one
const STYLES = /\u001b\[(?:1|2|22|31|32|39)m/g;

function assertHarmless(output: string, what: string): string {
  const plain = output.replace(STYLES, "");
  assert.equal(replaceUnsafe(plain.replaceAll("\n", " ")), plain.replaceAll("\n", " "), what);
  return plain;
}

function assertNothingForged(output: string, what: string): void {
  assert.doesNotMatch(assertHarmless(output, what), /^\[trusted\]/m, what);
}

for (const [command, cases] of Object.entries(CASES)) {
  Deno.test(`${command} shows nothing of strangers that steers a terminal or forges a line`, async () => {
    for (const [quotes, ...args] of cases) {
      for (const isTerminal of [true, false]) {
        for (const json of [[], ["--json"]]) {
          for (const driver of [lyingDriver(), failingDriver()]) {
            const isLying = !("then" in driver);
            await withHome(async (options) => {
              const line = [...command.split(" "), ...args, ...json];
              const what = `${line.slice(0, 3).join(" ")} ${isTerminal} ${isLying}`;
              const result = await run(line, { ...options, isTerminal, driver, host: rolesOf() });
              const kind = args[0] === "read" ? `${command} read` : command;
              const isRaw = !isTerminal && json.length === 0 && RAW_ON_A_PIPE.includes(kind);
              if (!isRaw) {
                const assertStdout = OWN_LINES.includes(kind)
                  ? assertHarmless
                  : assertNothingForged;
                assertStdout(result.stdout, what);
              }
              assertNothingForged(result.stderr, what);
              if (!isLying) return;
              const isCut = /^(subscribe|events|listen)$/.test(kind) && !args.includes("1"); // it ends although it has no end
              assert.equal(result.code, isCut ? 8 : 0, result.stderr);
              if (quotes) assert.match(result.stdout + result.stderr, /FORGED/, what);
              if (json.length === 0) return;
              for (const text of result.stdout.trimEnd().split("\n")) JSON.parse(text);
              if (quotes && command !== "received") {
                assert.ok(hasValue(result.stdout, HOSTILE), `${what}: the value is kept`);
              }
            });
          }
        }
      }
    }
  });
}

/** Is it somewhere in what one of the JSON lines says? */
function hasValue(output: string, wanted: string): boolean {
  const look = (value: unknown): boolean =>
    typeof value === "string"
      ? value.includes(wanted)
      : typeof value === "object" && value !== null
      ? Object.entries(value).some(([key, inner]) => key.includes(wanted) || look(inner))
      : false;
  return output.trimEnd().split("\n").some((line) => look(JSON.parse(line)));
}

Deno.test("a usage error quotes arguments harmlessly", async () => {
  for (const args of [[HOSTILE], ["info", `--${HOSTILE}`], ["ping", "bob", "--count", HOSTILE]]) {
    for (const json of [[], ["--json"]]) {
      const { code, stdout, stderr } = await run([...args, ...json], { isTerminal: true });
      assert.equal(code, 2);
      assertNothingForged(stdout + stderr, args[0]!);
      assert.match(stderr, /FORGED/);
    }
  }
});
