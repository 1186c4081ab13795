import assert from "node:assert/strict";
import { catalog } from "../../cli/catalog.ts";
import { completionScript } from "../../cli/completions.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { buildProgram } from "../../cli/main.ts";
import type { CliHost, RendezvousRoleOptions } from "../../cli/main.ts";
import { at, run, runJson } from "./support.ts";

// cspell:ignore cuont sned statsu strat

const { root } = buildProgram({ stdout: { isTerminal: false, write() {} } } as unknown as CliHost);
const COMMANDS = Object.keys(catalog(root).commands);

/** Issue "CLI": what must be there. */
const PROMISED =
  `init config info health peers path connections find set-hostname clear-hostname set-tags clear-tags
  set-public set-private handshake pending approve reject trust untrust ping bench connect send recv listen
  send-message send-file subscribe publish inbox received lookup version context deregister dgram rendezvous`
    .split(/\s+/).concat(
      "daemon run",
      "daemon start",
      "daemon stop",
      "daemon status",
      "gateway run",
      ...["list", "join", "leave", "members", "invite", "invites", "accept", "decline"]
        .map((name) => `network ${name}`),
      "name query",
      "name register",
    );

Deno.test("every promised command exists", () => {
  for (const name of PROMISED) assert.ok(COMMANDS.includes(name), name);
});

Deno.test("every command has --help with usage, examples and the global options", async () => {
  for (const name of COMMANDS) {
    const { code, stdout, stderr } = await run([...name.split(" "), "--help"]);
    assert.equal(code, 0, name);
    assert.equal(stderr, "", name);
    assert.match(stdout, new RegExp(`^Usage: pilotctl ${name}`), name);
    assert.match(stdout, /--json/, name);
    assert.match(stdout, new RegExp(`Examples:\n +(.*\\| )?pilotctl ${name}`), name);
  }
});

Deno.test("every command refuses unknown flags with exit code 2", async () => {
  for (const name of COMMANDS) {
    const { code, stdout, stderr } = await run([...name.split(" "), "--no-such-flag"]);
    assert.equal(code, 2, name);
    assert.equal(stdout, "", name);
    assert.match(stderr, /^error: Unknown option '--no-such-flag'\nhint: /, name);
  }
});

Deno.test("the root shows every command, the environment and the exit codes", async () => {
  const { code, stdout } = await run(["--help"]);
  assert.equal(code, 0);
  for (const name of COMMANDS) assert.ok(stdout.includes(`  ${name.split(" ")[0]}`), name);
  for (const error of Object.keys(EXIT_CODES)) assert.ok(stdout.includes(error), error);
  assert.match(stdout, /PILOT_HOME, PILOT_SOCKET, PILOT_REGISTRY, PILOT_BEACON/);
  assert.equal((await run(["help", "ping"])).code, 0);
  assert.equal((await run(["daemon", "help", "start"])).code, 0);
});

Deno.test("usage errors name what is wrong and suggest what was meant", async () => {
  const cases: [string[], RegExp][] = [
    [[], /No command given/],
    [["daemon"], /sub-command is missing/],
    [["help", "nonsense"], /Unknown command 'nonsense'/],
    [["daemon", "help", "nonsense"], /Unknown command 'nonsense'/],
    [["sned-file"], /Unknown command 'sned-file'\nhint: +Did you mean send-file\?/],
    [["daemon", "strat"], /Did you mean one of start, status\?|Did you mean start\?/],
    [["ping", "a", "--cuont", "3"], /Unknown option '--cuont'\nhint: +Did you mean --count\?/],
    [["ping"], /Missing required argument 'target'/],
    [["info", "extra"], /Too many arguments/],
    [
      ["rendezvous", "statsu"],
      /Unknown command 'rendezvous statsu'\nhint: +There are: run, status, backup, import/,
    ],
    [["network", "join", "lab"], /Not a network number: "lab"\nhint: .*network list/],
    [["ping", "a", "--count", "x"], /Option --count: Not a whole number: "x"/],
    [["ping", "a", "--count", "0"], /Option --count: Must be at least 1/],
    [["ping", "a", "--count"], /argument missing/],
    [["daemon", "run", "--log-level", "loud"], /Must be one of: debug, info, warn, error/],
    [["daemon", "run", "--no-echo=false"], /Unknown option '--no-echo=false'/],
    [["info", "--registry", "nowhere"], /Option --registry: Not an endpoint/],
    [["send", "a", "70000", "--data", "x"], /Not a port/],
    [["completions", "cmd"], /Must be one of: bash, zsh, fish/],
    [["context", "nonsense"], /Unknown command "nonsense"/],
  ];
  for (const [args, pattern] of cases) {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout, "", args.join(" "));
    assert.match(stderr, pattern);
  }
});

Deno.test("the help fits a narrow terminal as far as its names leave room", async () => {
  let help = "";
  const stdout = { isTerminal: true, columns: 60, write: (data: unknown) => void (help += data) };
  assert.equal((await run(["ping", "--help"], { host: { stdout } })).code, 0);
  const options = help.slice(0, help.indexOf("Examples:"));
  assert.deepEqual(options.split("\n").filter((line) => line.length > 60), []);
});

Deno.test("usage errors are JSON when --json stands anywhere", async () => {
  for (
    const args of [["--json", "nonsense"], ["info", "--json", "--bad"], ["--json"], [
      "daemon",
      "--json",
    ]]
  ) {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const error = JSON.parse(stderr);
    assert.equal(error.status, "error");
    assert.equal(error.code, "invalid_argument");
    assert.ok(error.message.length > 0);
  }
});

Deno.test("exit codes differ for every kind of failure", () => {
  const values = Object.values(EXIT_CODES);
  assert.equal(new Set(values).size, values.length);
  assert.ok(values.every((value) => value > 0 && value < 256));
});

Deno.test("version prints the bare version, or an envelope", async () => {
  const { stdout } = await run(["version"]);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await run(["--version"])).stdout, stdout);
  assert.equal(at((await runJson(["version"])).data, "version"), stdout.trim());
});

Deno.test("context describes every command, error code and option from the tree itself", async () => {
  const { code, data } = await runJson(["context"]);
  assert.equal(code, 0);
  assert.deepEqual(Object.keys(Object(at(data, "commands"))), COMMANDS);
  assert.deepEqual(at(data, "commands", "send-file", "args"), ["<target>", "<path>"]);
  assert.match(JSON.stringify(at(data, "commands", "ping", "options")), /"--count <n>"/);
  assert.equal(at(data, "error_codes", "timeout", "exit_code"), EXIT_CODES.timeout);
  assert.equal(typeof at(data, "global_flags", "--json"), "string");
  const one = await runJson(["context", "daemon", "start"]);
  assert.equal(at(one.data, "command"), "daemon start");
});

Deno.test("completion scripts are accepted by bash and know commands and flags", async () => {
  const script = completionScript("bash", catalog(root));
  const probe = `${script}
    COMP_WORDS=(pilotctl daemon st); COMP_CWORD=2; _pilotctl; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(pilotctl ping --co); COMP_CWORD=2; _pilotctl; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(pilotctl --json sen); COMP_CWORD=2; _pilotctl; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(pilotctl --home /x daemon st); COMP_CWORD=4; _pilotctl; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(pilotctl --beacon = h : 9 name r); COMP_CWORD=7; _pilotctl; echo "\${COMPREPLY[@]}"`;
  const { code, stdout } = await new Deno.Command("bash", { args: ["-c", probe] }).output();
  assert.equal(code, 0);
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assert.deepEqual(lines, [
    "start stop status",
    "--count --config",
    "send-message send-file send",
    "start stop status",
    "register",
  ]);
  assert.match(completionScript("fish", catalog(root)), /complete -c pilotctl .* -a ping /);
});

Deno.test("options about the HTTP endpoint need one, and its names are names", async () => {
  for (const flag of [["--http-host", "a.example"], ["--http-behind-proxy"]]) {
    const { code, stderr } = await run(["rendezvous", "--memory", ...flag]);
    assert.equal(code, 2);
    assert.match(stderr, /require --http/);
  }
  const named = ["rendezvous", "--memory", "--http", "127.0.0.1:0", "--http-host"];
  for (const name of ["a.example:80", "http://a.example", "", "a b"]) {
    assert.equal((await run([...named, name])).code, 2, name);
  }
  let given: unknown;
  const rendezvous = () =>
    Promise.resolve((options: RendezvousRoleOptions) => {
      given = options.httpAccess;
      return Promise.resolve(0);
    });
  const host = { roles: { rendezvous } as unknown as CliHost["roles"] };
  await run([...named, "a.example, b", "--http-behind-proxy"], { host });
  assert.deepEqual(given, { names: ["a.example", "b"], behindProxy: true });
});
