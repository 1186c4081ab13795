/** A world for the CLI made of memory: captured streams, a scripted driver, no processes. */

import type { CliDriver, CliHost } from "../../cli/main.ts";
import { main } from "../../cli/main.ts";
import { PilotError } from "../../protocol/errors.ts";

/** What a command printed and how it ended. */
export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Methods of a driver, those of its groups included. */
export type FakeDriver = {
  readonly [K in keyof CliDriver]?: CliDriver[K] extends (...args: never[]) => unknown
    ? CliDriver[K]
    : Partial<CliDriver[K]>;
};

/** What differs between tests. */
export interface RunOptions {
  /** Methods of the driver that the command may call. Without it the daemon is not running. */
  driver?: FakeDriver;
  /** Environment; `HOME` and `PILOT_HOME` should be set by tests that touch files. */
  env?: Record<string, string>;
  /** Standard input; absent means a terminal. */
  stdin?: string;
  /** Whether stdout and stderr are terminals. */
  isTerminal?: boolean;
  /** Parts of the host to replace. */
  host?: Partial<CliHost>;
  /** Gets the function that acts as Ctrl-C. */
  onInterruptible?: (interrupt: () => void) => void;
}

/** Runs one command line. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const decoder = new TextDecoder();
  const result: RunResult = { code: -1, stdout: "", stderr: "" };
  const text = (data: string | Uint8Array) =>
    typeof data === "string" ? data : decoder.decode(data);
  const isTerminal = options.isTerminal ?? false;
  const host: CliHost = {
    roles: {
      daemon: () => Promise.reject(new Error("no daemon in this test")),
      rendezvous: () => Promise.reject(new Error("no rendezvous in this test")),
      rendezvousStatus: () => Promise.reject(new Error("no store in this test")),
      rendezvousStore: () => Promise.reject(new Error("no store in this test")),
      gateway: () => Promise.reject(new Error("no gateway in this test")),
    },
    connect: () => {
      if (options.driver === undefined) {
        return Promise.reject(
          new PilotError("not_running", "No daemon answers", { hint: "pilotctl daemon start" }),
        );
      }
      return Promise.resolve(fakeDriver(options.driver));
    },
    stdout: { isTerminal, write: (data) => void (result.stdout += text(data)) },
    stderr: { isTerminal, write: (data) => void (result.stderr += text(data)) },
    stdin: {
      isTerminal: options.stdin === undefined,
      readable: () => new Blob([options.stdin ?? ""]).stream(),
    },
    env: (name) => options.env?.[name],
    self: ["/bin/false"],
    onInterrupt: (handler) => {
      options.onInterruptible?.(handler);
      return () => {};
    },
    ...options.host,
  };
  result.code = await main(args, host);
  return result;
}

/** A parsed envelope. */
export interface JsonResult {
  code: number;
  /** `data` of the envelope on stdout. */
  data: unknown;
  /** The envelope on stderr. */
  error: Record<string, unknown> | undefined;
}

/** Runs one command line with `--json` and parses what it printed. */
export async function runJson(
  args: readonly string[],
  options: RunOptions = {},
): Promise<JsonResult> {
  const { code, stdout, stderr } = await run([...args, "--json"], options);
  const envelope = stdout === "" ? undefined : JSON.parse(stdout);
  if (envelope !== undefined && envelope.status !== "ok") throw new Error(stdout);
  return { code, data: envelope?.data, error: stderr === "" ? undefined : JSON.parse(stderr) };
}

/** What is at a path inside parsed JSON. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => Object(inner)[key], value);
}

/** A driver with some methods; calling another one fails the test. */
function fakeDriver(methods: FakeDriver): CliDriver {
  const close = () => Promise.resolve();
  return new Proxy({ close, ...methods } as CliDriver, {
    get(target, name) {
      if (name in target || name === "then") return Reflect.get(target, name);
      throw new Error(`The command called driver.${String(name)}, which this test does not expect`);
    },
  });
}

/** Runs something with a temporary directory. */
export async function withDir<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir();
  try {
    return await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A connection that answers what is written by a function of ours. */
export class FakeConn {
  readonly written: Uint8Array[] = [];
  closed = false;
  aborted = false;
  readonly #queue: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  readonly #answer: (chunk: Uint8Array, conn: FakeConn) => void;
  #wake = () => {};

  constructor(answer: (chunk: Uint8Array, conn: FakeConn) => void = () => {}) {
    this.#answer = answer;
  }

  readonly remoteAddress = { network: 0, node: 7 };

  /** Puts bytes into the receive queue; undefined ends the stream. */
  push(data: string | Uint8Array | undefined): void {
    this.#queue.push(
      data === undefined
        ? undefined
        : new Uint8Array(typeof data === "string" ? new TextEncoder().encode(data) : data),
    );
    this.#wake();
  }

  write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.written.push(bytes);
    this.#answer(bytes, this);
    return Promise.resolve();
  }

  async read(options: { signal?: AbortSignal | undefined } = {}) {
    const { signal } = options;
    while (this.#queue.length === 0) {
      if (signal?.aborted) throw new PilotError("aborted", "read aborted");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.#queue[0] === undefined ? undefined : this.#queue.shift();
  }

  /** What is done when it is closed for writing. */
  onCloseWrite: () => void = () => {};
  writeClosed = false;

  closeWrite(): Promise<void> {
    this.writeClosed = true;
    this.onCloseWrite();
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  abort(): void {
    this.aborted = true;
  }
}
