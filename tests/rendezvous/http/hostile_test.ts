/** Many, slow and senseless connections to health and metrics: who asks is answered all the same. */

import assert from "node:assert/strict";
import { get } from "node:http";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import {
  MAX_HTTP_CONNECTION_MS,
  MAX_HTTP_CONNECTIONS,
} from "../../../platform/http/http_server.ts";
import { split } from "../support/client.ts";
import { pass, start } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const HALF = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
const WHOLE = `${HALF}\r\n`;
/** How long a scrape may take: Prometheus gives up after ten seconds. */
const SCRAPE_MS = 10_000;

/** Asks as a scraper does, on a connection of its own. */
function scrape(http: string, path = "/metrics"): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(SCRAPE_MS);
    const request = get(`http://${http}${path}`, { agent: false, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => text += chunk);
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}

/** Open connections as the server counts them, the one that asks included. */
async function connections(http: string): Promise<number> {
  const text = await scrape(http);
  return Number(text.match(/^pilot_http_connections (\d+)$/m)?.[1] ?? assert.fail(text));
}

/** Raw connections, all closed at the end. */
class Raw implements Disposable {
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(http: string, text = ""): Promise<Raw> {
    const raw = new Raw(await Deno.connect(split(http)));
    await raw.write(text);
    return raw;
  }

  /** What the server has ended meanwhile takes nothing. */
  async write(text: string | Uint8Array): Promise<void> {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    } catch (error) {
      if (!isEnd(error)) throw error;
    }
  }

  /** All that comes until the server ends the connection. */
  async rest(): Promise<string> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4_096);
    let text = "";
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) return text;
        text += decoder.decode(buffer.subarray(0, count), { stream: true });
      }
    } catch (error) {
      if (isEnd(error)) return text;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

function isEnd(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionAborted;
}

Deno.test("HTTP connections that ask nothing keep nobody out: the oldest make room", async () => {
  await using server = await start({ http: "127.0.0.1:0", clock: new ManualClock() });
  const http = server.facts.http!;
  using stack = new DisposableStack();
  const idle: Raw[] = [];
  const surplus = 100;
  for (let i = 0; i < MAX_HTTP_CONNECTIONS + surplus; i++) {
    idle.push(stack.use(await Raw.open(http, i % 2 === 0 ? "" : HALF)));
  }
  assert.equal(await connections(http), MAX_HTTP_CONNECTIONS);
  // One more than the surplus: the scrape took a place, too.
  for (const raw of idle.slice(0, surplus + 1)) assert.equal(await raw.rest(), "");
  const youngest = idle.at(-1)!;
  await youngest.write("\r\n");
  assert.match(await youngest.rest(), /^HTTP\/1\.1 200 OK\r\n/, "a young one is left alone");
});

Deno.test("an HTTP connection ends after its time, whatever it does meanwhile", async () => {
  const clock = new ManualClock();
  await using server = await start({ http: "127.0.0.1:0", clock });
  const http = server.facts.http!;
  using silent = await Raw.open(http);
  using trickling = await Raw.open(http, HALF);
  using lingering = await Raw.open(http, WHOLE);
  assert.match(await lingering.rest(), /"status":"ok"/); // ended by the server, but not by its client
  assert.equal(await connections(http), 4);
  await pass(server, clock, MAX_HTTP_CONNECTION_MS - 1);
  using young = await Raw.open(http, HALF);
  await trickling.write("A: b\r\n");
  assert.equal(await connections(http), 5);
  await pass(server, clock, 1);
  assert.equal(await silent.rest(), "");
  assert.equal(await trickling.rest(), "");
  assert.equal(await connections(http), 2);
  await young.write("\r\n");
  assert.match(await young.rest(), /"status":"ok"/);
});

Deno.test("an HTTP connection has one answer, whatever is sent on it", async () => {
  await using server = await start({ http: "127.0.0.1:0", clock: new ManualClock() });
  const http = server.facts.http!;
  const host = "Host: localhost\r\n";
  const cases: [sent: string, status: number][] = [
    [WHOLE.repeat(100), 200],
    ["GET /healthz HTTP/1.0\r\n\r\n", 200],
    [`GET http://elsewhere/healthz HTTP/1.1\r\n${host}\r\n`, 200],
    [`GET http://[/healthz HTTP/1.1\r\n${host}\r\n`, 404],
    [`OPTIONS * HTTP/1.1\r\n${host}\r\n`, 404],
    [`GET /ws HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, 404],
    [
      `POST /healthz HTTP/1.1\r\n${host}Content-Length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`,
      405,
    ],
    ["rubbish\r\n\r\n", 400],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    [`GET /${"x".repeat(100_000)}`, 431],
    [`${HALF}A: ${"x".repeat(100_000)}`, 431],
  ];
  for (const [sent, status] of cases) {
    using raw = await Raw.open(http, sent);
    const answer = await raw.rest();
    const what = `${JSON.stringify(sent.slice(0, 40))}: ${answer}`;
    // A connection with more unread than the answer may be cut off before its client has read that.
    if (answer === "" && sent.length > 50_000) continue;
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), what);
    assert.equal(answer.match(/^HTTP\/1\.1 /gm)?.length, 1, what);
  }
  assert.match(await scrape(http, "/healthz"), /"status":"ok"/);
});

Deno.test("random bytes affect nothing but their HTTP connection", async () => {
  const clock = new ManualClock();
  await using server = await start({ http: "127.0.0.1:0", clock });
  const http = server.facts.http!;
  const starts = fc.constantFrom(
    "",
    "GET ",
    HALF,
    WHOLE,
    `POST / HTTP/1.1\r\n${"Host: localhost\r\n"}`,
  );
  await fc.assert(
    fc.asyncProperty(starts, fc.uint8Array({ maxLength: 300 }), async (begin, bytes) => {
      using raw = await Raw.open(http, begin);
      await raw.write(bytes);
    }),
    { numRuns: 200 },
  );
  assert.match(await scrape(http, "/healthz"), /"status":"ok"/);
  await pass(server, clock, MAX_HTTP_CONNECTION_MS);
  assert.equal(await connections(http), 1);
});

Deno.test("the HTTP server ends while connections stand", async () => {
  const server = await start({ http: "127.0.0.1:0" });
  const http = server.facts.http!;
  using silent = await Raw.open(http);
  using half = await Raw.open(http, HALF);
  using lingering = await Raw.open(http, WHOLE);
  await lingering.rest();
  await server.close();
  assert.equal(await silent.rest(), "");
  assert.equal(await half.rest(), "");
  await assert.rejects(Deno.connect(split(http)), Deno.errors.ConnectionRefused);
});

/** Reads all that a process says: the text up to `wanted`, and the end. A pipe that is not read would stop it. */
function listen(
  stream: ReadableStream<Uint8Array>,
  wanted: string,
): { heard: Promise<string>; ended: Promise<void> } {
  const heard = Promise.withResolvers<string>();
  heard.promise.catch(() => {}); // seen by whoever still waits for it
  const read = async () => {
    let text = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes(wanted)) heard.resolve(text);
    }
    heard.reject(new Error(`it ended: ${text}`));
  };
  return { heard: heard.promise, ended: read() };
}

const MAIN = fileURLToPath(new URL("../../../cli.ts", import.meta.url));

Deno.test({
  name: "the HTTP server answers again after the file descriptors ran out",
  ignore: Deno.build.os === "windows",
  async fn() {
    const store = await Deno.makeTempDir({ prefix: "pilot-rendezvous-" });
    const run = `ulimit -n 100; exec "$0" run -A --quiet --no-check "$@"`;
    const anywhere = ["registry-addr", "beacon-addr", "http"].flatMap((
      role,
    ) => [`--${role}`, "127.0.0.1:0"]);
    const options = [...anywhere, "--store", store, "--log-level", "warn"];
    const child = new Deno.Command("sh", {
      args: ["-c", run, Deno.execPath(), MAIN, "rendezvous", "run", "--json", ...options],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const ready = listen(child.stdout, "\n");
    const exhausted = listen(child.stderr, "HTTP server cannot accept connections");
    try {
      const http: string = JSON.parse(await ready.heard).data.http;
      {
        using stack = new DisposableStack();
        for (let i = 0; i < 120; i++) stack.use(await Raw.open(http, HALF));
        await exhausted.heard;
      }
      assert.match(await scrape(http, "/healthz"), /"status":"ok"/);
    } finally {
      child.kill("SIGKILL");
      await Promise.all([child.status, ready.ended, exhausted.ended]);
      await Deno.remove(store, { recursive: true });
    }
  },
});
