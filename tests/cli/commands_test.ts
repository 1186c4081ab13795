import assert from "node:assert/strict";
import { join } from "node:path";
import type { CliDriver } from "../../cli/main.ts";
import { parseAddress } from "../../protocol/address.ts";
import { type ErrorCode, PilotError } from "../../protocol/errors.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { at, FakeConn, type FakeDriver, run, runJson, withDir } from "./support.ts";

type Conn = Awaited<ReturnType<CliDriver["dial"]>>;
const asConn = (conn: FakeConn) => conn as unknown as Conn;
const ADDRESS = "0:0000.0000.0007";
const resolveTarget = () => Promise.resolve(parseAddress(ADDRESS));

const INFO = {
  node_id: 5,
  address: "0:0000.0000.0005",
  hostname: "alice",
  version: "1",
  uptime_secs: 3661.5,
  connections: 1,
  ports: 4,
  peers: 1,
  encrypt: true,
  encrypted_peers: 1,
  authenticated_peers: 1,
  identity: true,
  public_key: "T9CZzNR9eJPf6ewkQU7LDZtUICMqrTDZHEZb4zy+ZcQ=",
  networks: [{ network_id: 0, address: "0:0000.0000.0005" }],
  bytes_sent: 2048,
  bytes_recv: 0,
  pkts_sent: 3,
  pkts_recv: 4,
  handshake_pending_count: 0,
  conn_list: [],
  peer_list: [
    { node_id: 7, endpoint: "127.0.0.1:5", encrypted: true, authenticated: true },
    { node_id: 8, endpoint: "(relay)", encrypted: true, authenticated: false, relay: true },
  ],
};
const info = () => Promise.resolve(INFO as unknown as Awaited<ReturnType<CliDriver["info"]>>);

Deno.test("info, peers and connections print the daemon's keys as JSON and aligned text for people", async () => {
  const all = await runJson(["info"], { driver: { info } });
  assert.equal(all.code, 0);
  assert.deepEqual(all.data, INFO);
  const text = await run(["info"], { driver: { info } });
  assert.match(text.stdout, /^Address: +0:0000\.0000\.0005$/m);
  assert.match(text.stdout, /^Uptime: +01:01:01$/m);
  const peers = await runJson(["peers", "--search", "relay"], { driver: { info } });
  assert.equal(at(peers.data, "total"), 1);
  assert.equal(at(peers.data, "peers", 0, "node_id"), 8);
  assert.deepEqual((await runJson(["connections"], { driver: { info } })).data, {
    connections: [],
    total: 0,
  });
});

Deno.test("every kind of failure has its exit code, and code, message and hint in JSON", async () => {
  for (const [code, exit] of Object.entries(EXIT_CODES)) {
    const fail = () =>
      Promise.reject(new PilotError(code as ErrorCode, "It broke", { hint: "Mend it" }));
    const json = await runJson(["health"], { driver: { health: fail } });
    assert.equal(json.code, exit, code);
    assert.equal(json.data, undefined);
    assert.deepEqual(json.error, { status: "error", code, message: "It broke", hint: "Mend it" });
    const text = await run(["health"], { driver: { health: fail } });
    assert.equal(text.stdout, "");
    assert.match(text.stderr, /^error: It broke\nhint: {2}Mend it\n/);
  }
});

Deno.test("an unexpected exception is reported as internal, not thrown", async () => {
  const fail = () => Promise.reject(new TypeError("oops"));
  const { code, stderr } = await run(["health"], { driver: { health: fail } });
  assert.equal(code, 1);
  assert.match(stderr, /^error: oops\n/);
});

Deno.test("commands that need the daemon say how to start it", async () => {
  for (const args of [["info"], ["trust"], ["ping", "5"], ["send-message", "5", "--data", "x"]]) {
    const { code, error } = await runJson(args);
    assert.equal(code, EXIT_CODES.not_running, args.join(" "));
    assert.equal(error?.code, "not_running");
    assert.match(String(error?.hint), /daemon start/);
  }
});

Deno.test("text from peers cannot send control characters to the terminal", async () => {
  const open = () =>
    Promise.resolve({
      pending: [{
        node_id: 7,
        public_key: "k",
        justification: "\u001b[2Jhi\r\n",
        received_at: 1,
      }],
      outgoing: [],
      refused: [],
    });
  const { stdout } = await run(["pending"], {
    driver: { trust: { open } },
    isTerminal: true,
    env: { NO_COLOR: "1" },
  });
  // deno-lint-ignore no-control-regex -- their absence is the point
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f]/);
  assert.match(stdout, /\?\[2Jhi\?\?/);
});

Deno.test("empty lists are [] in JSON", async () => {
  const none = () => Promise.resolve([]);
  const open = { pending: [], outgoing: [], refused: [] };
  const driver = { trust: { open: () => Promise.resolve(open), peers: none } };
  assert.deepEqual((await runJson(["pending"], { driver })).data, open);
  assert.deepEqual((await runJson(["trust"], { driver })).data, { trusted: [] });
});

Deno.test("set-hostname and set-public keep the config file in step", async () => {
  await withDir(async (home) => {
    const driver: FakeDriver = {
      registry: {
        setHostname: (hostname) =>
          Promise.resolve({ type: "set_hostname_ok", node_id: 5, hostname }),
        setVisibility: (isPublic) =>
          Promise.resolve({
            type: "set_visibility_ok",
            node_id: 5,
            visibility: isPublic ? "public" : "private",
          }),
      },
    };
    const env = { PILOT_HOME: home };
    const stored = async () => JSON.parse(await Deno.readTextFile(join(home, "config.json")));
    assert.equal((await run(["set-hostname", "alice"], { driver, env })).code, 0);
    assert.deepEqual(await stored(), { hostname: "alice" });
    assert.equal((await run(["set-public"], { driver, env })).code, 0);
    assert.deepEqual(await stored(), { hostname: "alice", public: true });
    assert.equal(at((await runJson(["clear-hostname"], { driver, env })).data, "hostname"), "");
    assert.deepEqual(await stored(), { public: true });
    assert.equal((await run(["set-hostname", "Not A Name"], { driver, env })).code, 2);
    const refuse = () => Promise.reject(new PilotError("already_exists", "Taken"));
    const taken = await run(["set-hostname", "bob"], {
      driver: { registry: { setHostname: refuse } },
      env,
    });
    assert.equal(taken.code, EXIT_CODES.already_exists);
    assert.deepEqual(await stored(), { public: true }, "a refused name is not stored");
  });
});

Deno.test("a config file with values that do not fit is corrected key by key, as the hint says", async () => {
  await withDir(async (home) => {
    const env = { PILOT_HOME: home };
    const path = join(home, "config.json");
    await Deno.writeTextFile(path, JSON.stringify({ keepalive: "fast", mss: "x", other: 1 }));
    const { code, stderr } = await run(["info"], { env });
    assert.equal(code, EXIT_CODES.invalid_argument);
    assert.match(stderr, /pilotctl --home \S+ config --set keepalive=VALUE/);
    assert.equal((await run(["config", "--set", "keepalive=soon"], { env })).code, 2);
    assert.equal((await run(["config", "--set", "keepalive=30s"], { env })).code, 0);
    assert.equal((await run(["config", "--unset", "mss", "--unset", "other"], { env })).code, 0);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), { keepalive: "30s" });
    assert.equal((await run(["config"], { env })).code, 0);
  });
});

Deno.test("what init and a missing config file suggest reaches the agent that was meant", async () => {
  await withDir(async (home) => {
    const made = await run(["--home", home, "init", "--registry", "r:1"], { env: {} });
    assert.match(made.stdout, new RegExp(`Next: pilotctl --home ${home} daemon start`));
    const file = join(home, "none.json");
    const { stderr } = await run(["--home", home, "--config", file, "info"], { env: {} });
    assert.ok(stderr.includes(`pilotctl --home ${home} --config ${file} init\n`), stderr);
  });
});

Deno.test("config shows values with their sources, hides secrets, sets and unsets", async () => {
  await withDir(async (home) => {
    const env = { PILOT_HOME: home, PILOT_BEACON: "env:2" };
    const path = join(home, "config.json");
    assert.equal((await run(["init", "--registry", "r:1", "--hostname", "h"], { env })).code, 0);
    await run(
      ["config", "--set", "public=true", "-set", "log_level=debug", "--unset", "hostname"],
      { env },
    );
    const stored = JSON.parse(await Deno.readTextFile(path));
    assert.deepEqual(stored, {
      registry: "r:1",
      beacon: "env:2",
      public: true,
      log_level: "debug",
    });
    await Deno.writeTextFile(
      path,
      JSON.stringify({
        ...stored,
        ...{ admin_token: "sesame", webhook_secret: "sesame", network_token: "sesame" },
        ...{ token: "sesame", api_password: "sesame" },
      }),
    );
    const shown = await runJson(["config"], { env });
    assert.equal(at(shown.data, "registry"), "r:1");
    assert.deepEqual(at(shown.data, "sources"), {
      home: "environment",
      socket: "default",
      registry: "config",
      beacon: "environment",
    });
    assert.doesNotMatch(JSON.stringify(shown.data), /sesame/);
    assert.doesNotMatch((await run(["config"], { env })).stdout, /sesame/);
    await Deno.writeTextFile(path, "{broken");
    const broken = await runJson(["config"], { env });
    assert.equal(broken.code, 2);
    assert.match(String(broken.error?.message), /config\.json is not JSON/);
  });
});

Deno.test("ping reports each probe and fails only when none is answered", async () => {
  let n = 0;
  const ping = () =>
    n++ === 0
      ? Promise.reject(new PilotError("timeout", "No answer"))
      : Promise.resolve({ rtt_ms: n, relayed: false });
  const options = ["--count", "3", "--interval", "0"];
  const some = await runJson(["ping", "bob", ...options], { driver: { resolveTarget, ping } });
  assert.equal(some.code, 0);
  assert.equal(at(some.data, "target"), ADDRESS);
  assert.deepEqual(at(some.data, "results"), [
    { seq: 0, error: "No answer" },
    { seq: 1, rtt_ms: 2, relayed: false },
    { seq: 2, rtt_ms: 3, relayed: false },
  ]);
  assert.equal(at(some.data, "rtt_p50_ms"), 2);
  const fail = () =>
    Promise.reject(new PilotError("untrusted", "Not trusted", { hint: "handshake" }));
  const none = await runJson(["ping", "bob", ...options], {
    driver: { resolveTarget, ping: fail },
  });
  assert.equal(none.code, EXIT_CODES.untrusted);
  assert.equal(none.error?.code, "untrusted");
  assert.equal(at(none.error, "data", "results", "length"), 1, "asking again gives the same");
});

Deno.test("ping stops at Ctrl-C with what it has, or with exit code 130 when it has nothing", async () => {
  let interrupt = () => {};
  const onInterruptible = (handler: () => void) => void (interrupt = handler);
  const once = () => {
    queueMicrotask(interrupt);
    return Promise.resolve({ rtt_ms: 1, relayed: false });
  };
  const some = await runJson(["ping", "bob"], {
    driver: { resolveTarget, ping: once },
    onInterruptible,
  });
  assert.equal(some.code, 0);
  assert.equal(at(some.data, "sent"), 1);
  const never: CliDriver["ping"] = () => {
    interrupt();
    return Promise.reject(new PilotError("aborted", "Interrupted"));
  };
  const none = await run(["ping", "bob"], {
    driver: { resolveTarget, ping: never },
    onInterruptible,
  });
  assert.equal(none.code, 130);
});

Deno.test("bench checks the echo and reports both speeds", async () => {
  const echo = new FakeConn((chunk, conn) => conn.push(chunk));
  const dial = () => Promise.resolve(asConn(echo));
  const { code, data } = await runJson(["bench", "bob", "0.5"], { driver: { dial } });
  assert.equal(code, 0);
  assert.equal(at(data, "sent_bytes"), 524_288);
  assert.equal(at(data, "recv_bytes"), 524_288);
  assert.ok(Number(at(data, "total_mb_s")) > 0);
  const liar = new FakeConn((chunk, conn) => conn.push(chunk.map((byte) => byte ^ 1)));
  const lied = await run(["bench", "bob"], {
    driver: { dial: () => Promise.resolve(asConn(liar)) },
  });
  assert.equal(lied.code, EXIT_CODES.protocol_error);
  const short = new FakeConn((_, conn) => conn.push(undefined));
  const ended = await run(["bench", "bob"], {
    driver: { dial: () => Promise.resolve(asConn(short)) },
  });
  assert.equal(ended.code, EXIT_CODES.connection_closed);
  const silent = new FakeConn();
  const slow = await run(["bench", "bob", "--timeout", "20ms"], {
    driver: { dial: () => Promise.resolve(asConn(silent)) },
  });
  assert.equal(slow.code, EXIT_CODES.timeout);
  assert.ok(silent.aborted);
});

Deno.test("send and connect print the whole answer, also when it comes in pieces", async () => {
  const conn = () =>
    new FakeConn((_, conn) => ["one ", "two", undefined].forEach((part) => conn.push(part)));
  const dial = () => Promise.resolve(asConn(conn()));
  const sent = await runJson(["send", "bob", "7", "--data", "hi"], { driver: { dial } });
  assert.deepEqual(sent.data, {
    target: "bob",
    port: 7,
    sent: 2,
    response: "one two",
    end: "closed",
  });
  const piped = await run(["connect", "bob"], { driver: { dial }, stdin: "from a pipe" });
  assert.equal(piped.stdout, "one two");
  const open = new FakeConn((_, conn) => conn.push("stays open"));
  const quiet = await run(["connect", "bob", "1000", "--message", "x", "--end-after", "20ms"], {
    driver: { dial: () => Promise.resolve(asConn(open)) },
  });
  assert.equal(quiet.stdout, "stays open");
  assert.ok(open.closed);
});

Deno.test("send takes an option's value literally, shows bytes as base64, and times out with what it knows", async () => {
  const bytes = new FakeConn((_, conn) => {
    conn.push(new Uint8Array([0xff, 0]));
    conn.push(undefined);
  });
  const { stdout } = await run(["send", "b", "7", "--data", "--json"], {
    driver: { dial: () => Promise.resolve(asConn(bytes)) },
  });
  assert.equal(new TextDecoder().decode(bytes.written[0]), "--json");
  assert.equal(stdout.length, 2, "not JSON: --json was the data");
  const again = new FakeConn((_, conn) => {
    conn.push(new Uint8Array([0xff, 0]));
    conn.push(undefined);
  });
  const json = await runJson(["send", "b", "7", "--data", "x"], {
    driver: { dial: () => Promise.resolve(asConn(again)) },
  });
  assert.equal(at(json.data, "response_b64"), "/wA=");
  const silent = new FakeConn();
  const timed = await runJson(["send", "b", "7", "--data", "x", "--timeout", "20ms"], {
    driver: { dial: () => Promise.resolve(asConn(silent)) },
  });
  assert.equal(timed.code, EXIT_CODES.timeout);
  assert.equal(at(timed.error, "data", "sent"), 1);
});

Deno.test("listen prints a JSON line per datagram, or one envelope for a count", async () => {
  const datagrams = () => {
    const list = ["a", "b"].map((text) => ({
      source: { network: 0, node: 7 },
      sourcePort: 9,
      port: 5000,
      data: new TextEncoder().encode(text),
    }));
    const receiver = {
      receive: () => Promise.resolve(list.shift()),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return receiver as unknown as ReturnType<CliDriver["datagrams"]>;
  };
  const lines = (await run(["listen", "5000", "--json"], { driver: { datagrams } })).stdout;
  const parsed = lines.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(parsed[0], { src_addr: ADDRESS, src_port: 9, data: "a", bytes: 1 });
  assert.equal(parsed.length, 2);
  const counted = await runJson(["listen", "5000", "--count", "2"], { driver: { datagrams } });
  assert.deepEqual(at(counted.data, "messages", "length"), 2);
  const early = await runJson(["listen", "5000", "--count", "3"], { driver: { datagrams } });
  assert.equal(early.code, EXIT_CODES.connection_closed);
  assert.equal(at(early.error, "data", "messages", "length"), 2);
  const text = await run(["listen", "5000"], { driver: { datagrams } });
  assert.equal(text.stdout, "ab", "a pipe gets the bytes alone");
  const shown = await run(["listen", "5000"], { driver: { datagrams }, isTerminal: true });
  assert.equal(shown.stdout, `[${ADDRESS}:9] a\n[${ADDRESS}:9] b\n`);
});

Deno.test("dgram, publish and send-message take --data, --file or stdin, but only one", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "body");
    await Deno.writeTextFile(path, "from file");
    const seen: string[] = [];
    const note = (data: string | Uint8Array) =>
      void seen.push(typeof data === "string" ? data : new TextDecoder().decode(data));
    const driver: FakeDriver = {
      sendDatagram: (_target, _port, data) => Promise.resolve(note(data)),
      publish: (_target, _topic, data) => Promise.resolve(note(data)),
      sendMessage: (_target, data, options) => {
        note(data);
        assert.equal(options?.type, "json");
        return Promise.resolve({
          address: parseAddress(ADDRESS),
          type: "json",
          bytes: 9,
          ack: "ACK JSON 9 bytes",
        });
      },
    };
    assert.equal((await run(["dgram", "b", "5", "--data", "text"], { driver })).code, 0);
    assert.equal((await run(["publish", "b", "t", "--file", path], { driver })).code, 0);
    const sent = await runJson(["send-message", "b", "--type", "json"], { driver, stdin: "piped" });
    assert.deepEqual(sent.data, { target: "b", type: "json", bytes: 9, ack: "ACK JSON 9 bytes" });
    assert.deepEqual(seen, ["text", "from file", "piped"]);
    assert.equal(
      (await run(["dgram", "b", "5", "--data", "x", "--file", path], { driver })).code,
      2,
    );
    assert.equal((await run(["dgram", "b", "5"], { driver })).code, 2);
    assert.equal((await run(["dgram", "b", "5", "--data", ""], { driver })).code, 2);
    const missing = await run(["publish", "b", "t", "--file", join(dir, "none")], { driver });
    assert.equal(missing.code, EXIT_CODES.not_found);
  });
});

Deno.test("send-file draws a progress bar on a terminal only", async () => {
  const sendFile: CliDriver["sendFile"] = (_target, _file, options) => {
    options?.onProgress?.({ bytes: 50, total: 100 });
    options?.onProgress?.({ bytes: 100, total: 100 });
    return Promise.resolve({
      address: parseAddress(ADDRESS),
      name: "f.bin",
      bytes: 100,
      resumed: 20,
      sha256: "ab".repeat(32),
      transport: "filestream",
      verified: true,
      ack: "ok",
    });
  };
  const json = await run(["send-file", "bob", "/x/f.bin", "--json"], {
    driver: { sendFile },
    isTerminal: true,
  });
  assert.equal(json.stderr, "");
  const data = JSON.parse(json.stdout).data;
  assert.equal(data.filename, "f.bin");
  assert.equal(data.bytes_sent, 80);
  assert.equal(data.sha256.length, 64);
  const shown = await run(["send-file", "bob", "/x/f.bin"], {
    driver: { sendFile },
    isTerminal: true,
  });
  assert.match(shown.stderr, /f\.bin \[#+-*\] +50%/);
  assert.ok(shown.stderr.endsWith("\r\u001b[K"), "the bar is removed at the end");
  const piped = await run(["send-file", "bob", "/x/f.bin"], { driver: { sendFile } });
  assert.equal(piped.stderr, "");
  assert.match(piped.stdout, /verified by the receiver/);
});

Deno.test("subscribe ends with a timeout error only when a count was asked for", async () => {
  const subscribe = () => {
    let sent = false;
    const subscription = {
      next: ({ signal }: { signal: AbortSignal }) => {
        if (!sent) {
          sent = true;
          return Promise.resolve({ topic: "t", payload: new TextEncoder().encode("e1") });
        }
        return new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new PilotError("aborted", "gone")))
        );
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return Promise.resolve(subscription as unknown as Awaited<ReturnType<CliDriver["subscribe"]>>);
  };
  const counted = await runJson(["subscribe", "b", "t", "--count", "2", "--timeout", "20ms"], {
    driver: { subscribe },
  });
  assert.equal(counted.code, EXIT_CODES.timeout);
  assert.deepEqual(at(counted.error, "data"), {
    events: [{ topic: "t", data: "e1", bytes: 2 }],
    timeout: true,
  });
  const endless = await run(["subscribe", "b", "t", "--timeout", "20ms"], {
    driver: { subscribe },
  });
  assert.equal(endless.code, 0);
  assert.equal(endless.stdout, "[t] e1\n");
});
