/** Commands that are interrupted, forgotten in part, or meet a daemon in an unusual state. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { CliDriver } from "../../cli/main.ts";
import type { StreamFile } from "../../mod.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { parseAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";

import { at, type FakeDriver, run, runJson, withDir } from "./support.ts";

const ADDRESS = "0:0000.0000.0007";
const resolveTarget = () => Promise.resolve(parseAddress(ADDRESS));

Deno.test("a forgotten --data is an error where standard input is empty, and an empty one is not", async () => {
  const seen: number[] = [];
  const driver: FakeDriver = {
    publish: (_target, _topic, data) => Promise.resolve(void seen.push(data.length)),
  };
  const forgotten = await runJson(["publish", "b", "t"], { driver, stdin: "" });
  assert.equal(forgotten.code, EXIT_CODES.invalid_argument);
  assert.match(String(forgotten.error?.message), /standard input is empty/);
  assert.equal((await run(["publish", "b", "t", "--data", ""], { driver, stdin: "" })).code, 0);
  assert.equal((await run(["publish", "b", "t", "--file", "-"], { driver, stdin: "" })).code, 0);
  assert.deepEqual(seen, [0, 0]);
});

Deno.test("Ctrl-C does not lose what a counted subscription has received", async () => {
  let interrupt = () => {};
  const subscribe = () => {
    let sent = false;
    const subscription = {
      next: ({ signal }: { signal: AbortSignal }) => {
        if (!sent) {
          sent = true;
          return Promise.resolve({ topic: "t", payload: new TextEncoder().encode("e1") });
        }
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new PilotError("aborted", "gone")));
          interrupt();
        });
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return Promise.resolve(subscription as unknown as Awaited<ReturnType<CliDriver["subscribe"]>>);
  };
  const options = {
    driver: { subscribe },
    onInterruptible: (ctrlC: () => void) => void (interrupt = ctrlC),
  };
  const counted = await runJson(["subscribe", "b", "t", "--count", "3"], options);
  assert.equal(counted.code, EXIT_CODES.aborted);
  assert.equal(counted.error?.message, 'Subscription to "t" of b: interrupted after 1 of 3');
  assert.deepEqual(at(counted.error, "data", "events", 0, "data"), "e1");
  const endless = await run(["subscribe", "b", "t"], options);
  assert.equal(endless.code, EXIT_CODES.aborted);
  assert.match(endless.stdout, /^\[t\] e1\n$/);
  assert.equal(endless.stderr, "", "the only way to end it is no failure");
});

Deno.test("a node that is not registered shows no address, and health and status say so", async () => {
  const state = {
    node_id: 0,
    address: "",
    uptime_secs: 1,
    public_key: "",
    conn_list: [],
    networks: [{ network_id: 0, address: "0:0000.0000.0000" }],
    registration: "retrying",
    registration_error: "Registry is down",
    status: "ok",
    uptime_seconds: 1,
  };
  const driver = { info: () => Promise.resolve(state), health: () => Promise.resolve(state) };
  const options = { driver: driver as never };
  const { stdout } = await run(["info"], options);
  assert.match(stdout, /^Address: +not registered yet$/m);
  assert.doesNotMatch(stdout, /0000\.0000/);
  assert.match((await run(["health"], options)).stdout, /^Registration: +retrying$/m);
  await withDir(async (home) => {
    const status = await run(["daemon", "status", "--home", home], options);
    assert.match(status.stdout, /^Registration: +retrying \(Registry is down\)$/m);
    const { data } = await runJson(["daemon", "status", "--home", home], options);
    assert.equal(at(data, "registration"), "retrying");
  });
});

Deno.test("a config file that was named must be there, unless the command makes it", async () => {
  await withDir(async (home) => {
    const file = join(home, "other.json");
    const named = ["--home", home, "--config", file];
    const missing = await runJson(["info", ...named]);
    assert.equal(missing.code, EXIT_CODES.not_found);
    assert.equal(missing.error?.message, `No such config file: ${file}`);
    assert.equal((await run(["init", ...named])).code, 0);
    assert.equal((await runJson(["info", ...named])).error?.code, "not_running");
    assert.equal((await runJson(["info", "--home", home])).error?.code, "not_running");
  });
});

Deno.test("send-file takes standard input, under a name that must be given", async () => {
  let sent: [string, string] | undefined;
  const sendFile: CliDriver["sendFile"] = async (_target, file) => {
    const { stream, name } = file as StreamFile;
    sent = [name, await new Response(stream as BodyInit).text()];
    throw new PilotError("denied", "far enough");
  };
  const options = { driver: { sendFile }, stdin: "piped" };
  const nameless = await runJson(["send-file", "bob", "-"], options);
  assert.equal(nameless.code, EXIT_CODES.invalid_argument);
  assert.match(String(nameless.error?.hint), /--name NAME/);
  assert.equal(sent, undefined);
  await run(["send-file", "bob", "-", "--name", "x.tar"], options);
  assert.deepEqual(sent, ["x.tar", "piped"]);
});

Deno.test("send-file says after Ctrl-C that it can be resumed", async () => {
  let interrupt = () => {};
  const sendFile: CliDriver["sendFile"] = (_target, _path, options) =>
    new Promise((_, reject) => {
      options?.signal?.addEventListener("abort", () => reject(new PilotError("aborted", "x")));
      interrupt();
    });
  const { code, error } = await runJson(["send-file", "bob", "/x/f.bin"], {
    driver: { sendFile },
    onInterruptible: (ctrlC) => void (interrupt = ctrlC),
  });
  assert.equal(code, EXIT_CODES.aborted);
  assert.equal(error?.message, "Sending /x/f.bin was interrupted");
  assert.match(String(error?.hint), /resumes where it stopped/);
});

Deno.test("handshake with a peer that is trusted already asks for nothing on its side", async () => {
  const driver: FakeDriver = {
    trust: {
      request: () => Promise.resolve({ status: "sent", node_id: 7, already_trusted: true }),
    },
  };
  const { code, stdout } = await run(["handshake", "bob", "--wait"], { driver });
  assert.deepEqual([code, stdout], [0, "Node 7 is trusted already\n"]);
});

Deno.test("ping has no limit of time with --timeout 0", async () => {
  const limits: unknown[] = [];
  const ping = (_address: unknown, options: { timeoutMs?: number } = {}) => {
    limits.push(options.timeoutMs);
    return Promise.resolve({ rtt_ms: 1, relayed: false });
  };
  const args = ["ping", ADDRESS, "--count", "2", "--interval", "0", "--timeout", "0"];
  const { code, error } = await runJson(args, { driver: { resolveTarget, ping } as never });
  assert.equal(code, 0, JSON.stringify(error));
  assert.ok(limits.length === 2 && limits.every((limit) => Number(limit) > 0));
});
