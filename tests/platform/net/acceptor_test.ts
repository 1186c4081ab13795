import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { configureLog, getLogger, LOG_CATEGORY, resetLog } from "../../../platform/log.ts";
import { Acceptor, ACCEPTS_PER_TURN } from "../../../platform/net/acceptor.ts";

/** A connection that knows whether it was closed. */
class FakeConn {
  closed = 0;
  close(): void {
    this.closed++;
  }
}

/** Gives out what it was told to, an error by rejecting, and then waits. */
class FakeListener {
  readonly #script: (FakeConn | Error)[] = [];
  #waiting: PromiseWithResolvers<FakeConn> | undefined;
  calls = 0;
  isClosed = false;

  push(...next: (FakeConn | Error)[]): void {
    this.#script.push(...next);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.accept().then(waiting.resolve, waiting.reject);
    this.calls--;
  }

  accept(): Promise<FakeConn> {
    this.calls++;
    if (this.isClosed) return Promise.reject(new Deno.errors.BadResource("closed"));
    const next = this.#script.shift();
    if (next instanceof Error) return Promise.reject(next);
    if (next !== undefined) return Promise.resolve(next);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    if (this.isClosed) throw new Deno.errors.BadResource("closed");
    this.isClosed = true;
    this.#waiting?.reject(new Deno.errors.BadResource("closed"));
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code} (os error)`), { code });
}

interface World {
  listener: FakeListener;
  lines: string[];
  shortages: unknown[];
  /** The next connection that is admitted. */
  admitted(): Promise<FakeConn>;
}

async function withAcceptor(
  body: (world: World) => Promise<void>,
  admit: (conn: FakeConn) => void = () => {},
): Promise<void> {
  const lines: string[] = [];
  configureLog({ level: "debug", write: (line) => lines.push(line) });
  const listener = new FakeListener();
  const shortages: unknown[] = [];
  const came: FakeConn[] = [];
  let onAdmit: (() => void) | undefined;
  const acceptor = new Acceptor<FakeConn>({
    ...{ role: "test", listener, log: getLogger([LOG_CATEGORY, "test"]) },
    admit: (conn) => {
      admit(conn);
      came.push(conn);
      onAdmit?.();
    },
    onShortage: (error) => shortages.push(error),
  });
  const admitted = async () => {
    while (came.length === 0) await new Promise<void>((resolve) => onAdmit = resolve);
    return came.shift()!;
  };
  try {
    await body({ listener, lines, shortages, admitted });
  } finally {
    await acceptor.close();
    resetLog();
  }
}

Deno.test("Acceptor continues at once and logs nothing when connections are broken before their turn", () =>
  withAcceptor(async ({ listener, lines, shortages, admitted }) => {
    const errors = Array.from({ length: 3_000 }, (_, i) =>
      [
        new Deno.errors.NotConnected("gone"),
        new Deno.errors.ConnectionReset("gone"),
        failure("ECONNABORTED"),
        failure("EPROTO"),
        new Error("something nobody has heard of"),
      ][i % 5]!);
    const honest = new FakeConn();
    listener.push(...errors, honest);
    const startMs = performance.now();
    assert.equal(await admitted(), honest);
    assert.ok(performance.now() - startMs < 5_000, "a pause of 5 ms for each would take 15 s");
    assert.deepEqual([lines, shortages], [[], []]);
  }));

Deno.test("Acceptor lets the event loop turn while broken connections come without end", () =>
  withAcceptor(async ({ listener }) => {
    const gone = new Deno.errors.NotConnected("gone");
    listener.push(...Array.from({ length: 10_000 }, () => gone));
    await new Promise((resolve) => setTimeout(resolve));
    assert.ok(listener.calls < 10_000, `${listener.calls} were taken before a timer had its turn`);
  }));

Deno.test("Acceptor lets the event loop turn while good connections come without end", () =>
  withAcceptor(async ({ listener }) => {
    listener.push(...Array.from({ length: 10_000 }, () => new FakeConn()));
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
    assert.ok(listener.calls <= 4 * ACCEPTS_PER_TURN, `${listener.calls}`);
  }));

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  Deno.test(`Acceptor waits between attempts on ${code}, logs it once, and continues afterwards`, () =>
    withAcceptor(async ({ listener, lines, shortages, admitted }) => {
      listener.push(...Array.from({ length: 8 }, () => failure(code)));
      await sleep(0);
      assert.ok(listener.calls < 8, "it spins");
      const honest = new FakeConn();
      listener.push(honest);
      assert.equal(await admitted(), honest);
      assert.equal(lines.length, 1, lines.join(""));
      assert.match(lines[0]!, /test cannot accept connections.*os error/);
      assert.equal(shortages.length, 1);
    }));
}

Deno.test("Acceptor closes a connection that cannot be taken over, and continues", () => {
  const broken = new FakeConn();
  return withAcceptor(
    async ({ listener, admitted, lines }) => {
      const honest = new FakeConn();
      listener.push(broken, honest);
      assert.equal(await admitted(), honest);
      assert.deepEqual([broken.closed, honest.closed], [1, 0]);
      assert.match(lines.join(""), /lost a connection.*no socket option/);
    },
    (conn) => {
      if (conn === broken) throw new Error("no socket option");
    },
  );
});

Deno.test("Acceptor.close ends a pause and a wait, and may be called twice", async () => {
  for (const first of [undefined, failure("EMFILE")]) {
    const listener = new FakeListener();
    if (first !== undefined) listener.push(...Array.from({ length: 100 }, () => first));
    const acceptor = new Acceptor<FakeConn>({
      ...{ role: "test", listener, log: getLogger([LOG_CATEGORY, "test"]) },
      admit: () => assert.fail("nothing came"),
    });
    await sleep(0);
    await Promise.all([acceptor.close(), acceptor.close()]);
    assert.ok(listener.isClosed);
  }
});

Deno.test("Acceptor does not spin when its listener was closed elsewhere", async () => {
  const listener = new FakeListener();
  const acceptor = new Acceptor<FakeConn>({
    ...{ role: "test", listener, log: getLogger([LOG_CATEGORY, "test"]) },
    admit: () => assert.fail("nothing came"),
  });
  listener.close();
  await sleep(20);
  assert.ok(listener.calls < 10, `${listener.calls}`);
  await acceptor.close();
});
