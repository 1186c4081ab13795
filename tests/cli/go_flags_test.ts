import assert from "node:assert/strict";
import { normalizeArgv } from "../../cli/go_flags.ts";
import { buildProgram } from "../../cli/main.ts";
import type { CliHost } from "../../cli/main.ts";

const { root } = buildProgram({ stdout: { isTerminal: false, write() {} } } as unknown as CliHost);
const normalize = (line: string) => normalizeArgv(root, line.split(" "));

Deno.test("normalizeArgv turns single-dash long flags into double-dash ones", () => {
  const cases: [string, string][] = [
    [
      "rendezvous -registry-addr 127.0.0.1:0 -store=x",
      "rendezvous --registry-addr 127.0.0.1:0 --store=x",
    ],
    ["-home /x info", "--home /x info"],
    ["info -h", "info -h"],
    ["daemon start -public -no-echo", "daemon start --public --no-echo"],
    ["send 5 7 --data -hello", "send 5 7 --data -hello"],
    ["send 5 7 --data --json", "send 5 7 --data --json"],
    ["send 5 7 -data -json", "send 5 7 --data -json"],
    ["handshake 5 --wait -json", "handshake 5 --wait --json"],
    ["handshake 5 --wait 10s", "handshake 5 --wait 10s"],
    ["connect 5 -- -x", "connect 5 -- -x"],
    ["find -5", "find -5"],
    ["info -unknown-flag", "info --unknown-flag"],
  ];
  for (const [typed, expected] of cases) {
    assert.equal(normalize(typed).args.join(" "), expected, typed);
  }
});

Deno.test("normalizeArgv understands Go-style booleans", () => {
  const cases: [string, string][] = [
    ["daemon run -public=true", "daemon run --public"],
    ["daemon run -public=false", "daemon run --no-public"],
    ["daemon run --trust-auto-approve=1", "daemon run --trust-auto-approve"],
    ["daemon run --trust-auto-approve=0", "daemon run --trust-auto-approve=0"],
    ["daemon run --hostname=true", "daemon run --hostname=true"],
  ];
  for (const [typed, expected] of cases) {
    assert.equal(normalize(typed).args.join(" "), expected, typed);
  }
});

Deno.test("normalizeArgv sees --json anywhere except as the value of an option", () => {
  const yes = [
    "--json info",
    "info --json",
    "-json info",
    "daemon --json status",
    "daemon start --json",
  ];
  const no = ["send 5 7 --data --json", "info", "connect 5 -- --json", "config --set --json"];
  for (const line of yes) assert.equal(normalize(line).json, true, line);
  for (const line of no) assert.equal(normalize(line).json, false, line);
});
