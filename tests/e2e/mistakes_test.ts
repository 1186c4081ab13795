/** What people get wrong, against real processes: thing, cause and next step of the error, and its exit code. */

import assert from "node:assert/strict";
import { befriend, World } from "./processes.ts";

Deno.test({
  name: "the CLI names the thing, the cause and the next step of a mistake",
  ignore: Deno.build.os === "windows",
  timeout: 120_000,
  async fn() {
    await using world = await World.create();
    await using alice = await world.daemon("alice", "--hostname", "alice");
    await using bob = await world.daemon("bob", "--hostname", "bob");
    await befriend(alice, bob);
    const cases: [string[], number, RegExp, RegExp?][] = [
      [["ping", "nobody"], 3, /^Hostname "nobody" not found in the registry$/, /private/],
      [["lookup", "77"], 3, /^Node 77 not found in the registry$/, /private/],
      [["network", "join", "99"], 3, /^Network 99 not found in the registry$/, /network list/],
      [["network", "members", "0"], 11, /^Registry refused/, /rights/],
      [["connect", "bob", "4242", "--message", "x"], 7, /^Connection refused: nothing listens/],
      [["recv", "1001", "--timeout", "1s"], 4, /^Port 1001 is already bound$/, /another port/],
      [["find", "x".repeat(300)], 2, /^The hostname is longer than 255 bytes$/],
      [["handshake", "bob", "x".repeat(2000)], 2, /^The reason is longer than 1024 bytes$/],
    ];
    await Promise.all(cases.map(async ([args, code, message, hint]) => {
      const result = await world.cli("alice", ...args);
      assert.equal(result.code, code, `${args.join(" ").slice(0, 50)}: ${result.stderr}`);
      assert.equal(result.stdout, "");
      const error = JSON.parse(result.stderr);
      assert.match(error.message, message);
      if (hint !== undefined) assert.match(error.hint, hint);
    }));
  },
});
