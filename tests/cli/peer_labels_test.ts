import assert from "node:assert/strict";
import FakeTimers from "@sinonjs/fake-timers";
import type { CliDriver } from "../../cli/main.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { PilotError } from "../../protocol/errors.ts";
import { type FakeDriver, run, runJson } from "./support.ts";

const address = { network: 0, node: 5 };
const REFRESH_MS = 120_000;
const ADDRESS = "0:0000.0000.0005";

/** A driver whose nameserver notes what it is asked; `calls` are its methods and arguments without options. */
function nameserver(fail?: PilotError): { driver: FakeDriver; calls: unknown[] } {
  const calls: unknown[] = [];
  const answer = <T>(value: T, ...call: unknown[]) => {
    calls.push(call);
    return fail === undefined ? Promise.resolve(value) : Promise.reject(fail);
  };
  const names = (target: unknown) => ({
    queryAddress: (name: string) => answer(address, target, "A", name),
    queryNetwork: (name: string) => answer(7, target, "N", name),
    queryService: (network: number, port: number) =>
      answer([{ name: "web\u001b", address, port }], target, "S", network, port),
    registerAddress: (name: string, { address }: { address?: unknown }) =>
      answer(undefined, target, "A", name, address),
    registerNetwork: (name: string, network: number) =>
      answer(undefined, target, "N", name, network),
    registerService: (service: unknown, { address }: { address?: unknown }) =>
      answer(undefined, target, "S", service, address),
  });
  return { driver: { names: names as unknown as CliDriver["names"] }, calls };
}

Deno.test("name query asks for each type of record", async () => {
  const { driver, calls } = nameserver();
  const cases: [string[], unknown, RegExp][] = [
    [["A", "bob"], { type: "A", name: "bob", address: ADDRESS }, /^Address: +0:0000\.0000\.0005$/m],
    [["n", "lab"], { type: "N", name: "lab", network_id: 7 }, /^Network: +7$/m],
    [["S", "7", "80"], {
      type: "S",
      network_id: 7,
      port: 80,
      providers: [{ name: "web\u001b", address: ADDRESS, port: 80 }],
    }, /^web\? +0:0000\.0000\.0005 +80$/m],
  ];
  for (const [args, data, text] of cases) {
    assert.deepEqual((await runJson(["name", "query", "ns", ...args], { driver })).data, data);
    assert.match((await run(["name", "query", "ns", ...args], { driver })).stdout, text);
  }
  assert.deepEqual(calls[0], ["ns", "A", "bob"]);
  assert.deepEqual(calls.at(-1), ["ns", "S", 7, 80]);
});

Deno.test("name register registers each type of record, our own address unless another is given", async () => {
  const { driver, calls } = nameserver();
  const register = (...args: string[]) => runJson(["name", "register", "ns", ...args], { driver });
  assert.deepEqual((await register("A", "me")).data, { type: "A", name: "me" });
  await register("A", "me", "--address", ADDRESS);
  assert.deepEqual((await register("N", "lab", "7")).data, {
    type: "N",
    name: "lab",
    network_id: 7,
  });
  assert.deepEqual((await register("S", "web", "7", "80", "--address", ADDRESS)).data, {
    type: "S",
    name: "web",
    network_id: 7,
    port: 80,
  });
  assert.deepEqual(calls, [
    ["ns", "A", "me", undefined],
    ["ns", "A", "me", address],
    ["ns", "N", "lab", 7],
    ["ns", "S", { name: "web", network: 7, port: 80 }, address],
  ]);
});

Deno.test("name says what is wrong with its arguments before it asks the daemon", async () => {
  const cases: [string, RegExp][] = [
    ["query ns X a", /Not a record type: "X"/],
    ["query ns A a b", /Too many arguments/],
    ["query ns S 0", /Missing argument: port/],
    ["query ns S lab 80", /Not a network number: "lab"/],
    ["query ns S 70000 80", /Not a network number/],
    ["query ns S 0 70000", /Not a port/],
    ["register ns A", /Missing required argument 'name'/],
    ["register ns A a 5", /Too many arguments/],
    ["register ns A a --address 5", /Not a Pilot address/],
    ["register ns N lab", /Missing argument: network/],
    ["register ns N lab 7 8", /Too many arguments/],
    ["register ns N lab 7 --address 0:0000.0000.0005", /no --address/],
    ["register ns S web 7", /Missing argument: port/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await run(["name", ...args.split(" ")]);
    assert.equal(code, EXIT_CODES.invalid_argument, args);
    assert.match(stderr, message, args);
  }
});

Deno.test("name passes on what the nameserver refuses", async () => {
  const { driver } = nameserver(new PilotError("denied", "taken"));
  for (const keep of [[], ["--keep"]]) {
    const { code, error } = await runJson(["name", "register", "ns", "A", "me", ...keep], {
      driver,
    });
    assert.equal(code, EXIT_CODES.denied);
    assert.equal(error?.message, "taken");
  }
});

Deno.test("name register --keep prints once and registers again until it is interrupted", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const interruptible = Promise.withResolvers<() => void>();
    const calls: string[] = [];
    let connections = 0;
    const running = run(["name", "register", "ns", "A", "me", "--keep", "--json"], {
      onInterruptible: interruptible.resolve,
      host: {
        connect: () => {
          connections++;
          const registerAddress = (name: string) => {
            // The second time the daemon is just being restarted.
            if (calls.push(name) !== 2) return Promise.resolve();
            return Promise.reject(new PilotError("connection_closed", "The daemon has gone"));
          };
          const close = () => Promise.resolve();
          return Promise.resolve(
            { names: () => ({ registerAddress }), close } as unknown as CliDriver,
          );
        },
      },
    });
    const interrupt = await interruptible.promise;
    await clock.tickAsync(REFRESH_MS - 1);
    assert.deepEqual([calls.length, connections], [1, 1]);
    await clock.tickAsync(1);
    assert.deepEqual([calls.length, connections], [2, 1]);
    await clock.tickAsync(2 * REFRESH_MS);
    assert.deepEqual([calls.length, connections], [4, 2]);
    interrupt();
    const { code, stdout } = await running;
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { status: "ok", data: { type: "A", name: "me" } });
    assert.equal(clock.countTimers(), 0);
  } finally {
    clock.uninstall();
  }
});
