/** Hints reach the agent that was meant, and lead nobody into harm. */

import assert from "node:assert/strict";
import { withPlaces } from "../../cli/hints.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { PilotError } from "../../protocol/errors.ts";
import { at, run, runJson, withDir } from "./support.ts";

// cspell:ignore dregister hostnam leav lisen registre

Deno.test("withPlaces adds what was said about the agent to every command, quoted for a shell", () => {
  const hint = "Start it with: pilotctl daemon start, then pilotctl info";
  const none = () => undefined;
  assert.equal(withPlaces(hint, {}, none), hint);
  assert.equal(
    withPlaces(hint, { home: "/a b", socket: "/s" }, none),
    "Start it with: pilotctl --home '/a b' --socket /s daemon start, then pilotctl --home '/a b' --socket /s info",
  );
  const server = "`pilotctl rendezvous status` shows it on the server.";
  assert.equal(withPlaces(server, { home: "/x" }, none), server);
  const env = (name: string) => name === "PILOT_HOME" ? "/h" : undefined;
  assert.equal(withPlaces("pilotctl info", {}, env), "pilotctl --home /h info");
  assert.equal(withPlaces("pilotctl info", { home: "/x" }, env), "pilotctl --home /x info");
});

Deno.test("hints name the home that was given, in text and in JSON", async () => {
  for (const args of [["info", "--home", "/a"], ["--home=/a", "info"], ["info", "-home", "/a"]]) {
    assert.match(
      (await run(args)).stderr,
      /hint: +pilotctl --home \/a daemon start/,
      args.join(" "),
    );
  }
  assert.match(String((await runJson(["info", "--home", "/a"])).error?.hint), /--home \/a daemon/);
  const { stderr } = await run(["info"], { env: { PILOT_SOCKET: "/s" } });
  assert.match(stderr, /pilotctl --socket \/s daemon start/);
});

Deno.test("unknown commands lead to no destructive one, and those of existing programs to what is there instead", async () => {
  for (const name of ["register", "registre", "dregister", "untrusted", "network leav"]) {
    const { code, stderr } = await run(name.split(" "));
    assert.equal(code, EXIT_CODES.invalid_argument);
    assert.doesNotMatch(stderr, /deregister|untrust\?|leave/, name);
  }
  assert.match((await run(["register"])).stderr, /registers automatically/);
  assert.match((await run(["traceroute", "x"])).stderr, /pilotctl path/);
  assert.match((await run(["status"])).stderr, /pilotctl daemon status/);
  assert.match((await run(["gateway", "start"])).stderr, /pilotctl gateway run/);
  assert.match((await run(["lisen"])).stderr, /Did you mean listen\?/);
});

Deno.test("an option that is given twice is refused", async () => {
  const { code, stderr } = await run(["send", "b", "7", "--data", "x", "--data", "y"]);
  assert.equal(code, EXIT_CODES.invalid_argument);
  assert.match(stderr, /--data is given twice/);
});

Deno.test("hostnames that could never be used are refused, and an empty one names what clears it", async () => {
  const setHostname = () => Promise.reject(new Error("must not be asked"));
  for (
    const [name, why] of [["5", /always means node 5/], ["", /clear-hostname/], ["A", /lower/]]
  ) {
    const { code, error } = await runJson(["set-hostname", String(name)], {
      driver: { registry: { setHostname } },
    });
    assert.equal(code, EXIT_CODES.invalid_argument);
    assert.match(`${error?.message} ${error?.hint}`, why as RegExp);
  }
  assert.equal(
    (await run(["daemon", "start", "--hostname", "77"])).code,
    EXIT_CODES.invalid_argument,
  );
});

Deno.test("config refuses keys that nothing uses, and removes what others have left", () =>
  withDir(async (home) => {
    const path = `${home}/config.json`;
    await Deno.writeTextFile(path, JSON.stringify({ webhook: "http://x/", hostname: "a" }));
    const env = { PILOT_HOME: home };
    const set = await run(["config", "--set", "webhook=http://y/"], { env });
    assert.equal(set.code, EXIT_CODES.invalid_argument);
    assert.match(set.stderr, /Unknown config key "webhook"/);
    const typo = await run(["config", "--unset", "hostnam"], { env });
    assert.equal(typo.code, EXIT_CODES.invalid_argument);
    assert.match(typo.stderr, /Unknown config key "hostnam"/);
    assert.equal((await run(["config", "--unset", "webhook"], { env })).code, 0);
    assert.equal(
      (await run(["config", "--unset", "log-level"], { env })).code,
      0,
      "known, not set",
    );
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), { hostname: "a" });
  }));

Deno.test("Ctrl-C ends what has no end without an error, and ports nobody can know are refused", async () => {
  const received = Promise.withResolvers<void>();
  const receive = ({ signal }: { signal?: AbortSignal | undefined } = {}) =>
    new Promise<undefined>((_, reject) => {
      received.resolve();
      signal?.addEventListener("abort", () => reject(new PilotError("aborted", "gone")));
    });
  const datagrams = () =>
    ({ receive, [Symbol.asyncDispose]: () => Promise.resolve() }) as unknown as never;
  let interrupt = () => {};
  const running = run(["listen", "5000"], {
    driver: { datagrams },
    onInterruptible: (handler) => interrupt = handler,
  });
  await received.promise;
  interrupt();
  const { code, stderr } = await running;
  assert.deepEqual([code, stderr], [EXIT_CODES.aborted, ""]);
  for (const command of ["listen", "recv"]) {
    assert.equal((await runJson([command, "0"])).code, EXIT_CODES.invalid_argument);
  }
});

Deno.test("daemon start and doctor's exit code 1 are in the table of exit codes", async () => {
  const { data } = await runJson(["context"]);
  assert.match(
    String(at(data, "error_codes", "internal", "description")),
    /doctor.*status --check/,
  );
});
