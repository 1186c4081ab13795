import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { consoleSteps, installIn, shapeOf, Shell } from "./console.ts";
import { ROOT } from "./sources.ts";

const readme = readFileSync(join(ROOT, "README.md"), "utf8");

/** A tour that failed half-way has not stopped them. */
function stopDaemons(home: string): void {
  for (const name of ["alice", "bob"]) {
    const args = ["--home", join(home, "pilot-tour", name), "daemon", "stop"];
    new Deno.Command(join(home, "pilotctl"), { args, stdout: "null", stderr: "null" }).outputSync();
  }
}

Deno.test({
  name: "the tour of the README prints what the README says",
  ignore: Deno.build.os === "windows",
  timeout: 120_000,
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "tour-" });
    const [, example] = readme.match(/^```ts\n([^]*?)^```$/m)!;
    writeFileSync(join(home, "hello.ts"), example!);
    try {
      await using shell = new Shell(ROOT, installIn(home));
      for (const { command, output } of consoleSteps(readme)) {
        const isRendezvous = command.startsWith("pilotctl rendezvous");
        // Another test may have the usual ports, and the example is not in the repository.
        const typed = isRendezvous
          ? command.replace(" &", " --registry-addr 127.0.0.1:0 --beacon-addr 127.0.0.1:0 &")
          : command.replace("deno run", `${Deno.execPath()} run --config ${ROOT}deno.json`)
            .replace("hello.ts", join(home, "hello.ts"));
        const result = await shell.run(typed, output.length);
        const shape = (lines: readonly string[]) => lines.map((line) => shapeOf(line, home));
        assert.equal(result.code, 0, `${command}\n${result.output.join("\n")}`);
        assert.deepEqual(shape(result.output), shape(output), command);
        if (isRendezvous) {
          const [, registry, beacon] = result.output[0]!.match(/registry (\S+), beacon (\S+),/)!;
          await shell.run(`export PILOT_REGISTRY=${registry} PILOT_BEACON=${beacon}`);
        }
      }
    } finally {
      stopDaemons(home);
      await Deno.remove(home, { recursive: true });
    }
  },
});

const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  "docs/ARCHITECTURE.md",
  "docs/TROUBLESHOOTING.md",
];

for (const name of DOCUMENTS) {
  const text = readFileSync(join(ROOT, name), "utf8");

  Deno.test(`${name} links to files that exist`, () => {
    const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target!);
    const missing = targets.filter((target) => !existsSync(join(ROOT, dirname(name), target)));
    assert.deepEqual(missing, []);
  });

  Deno.test(`${name} names tasks, permission sets and files that exist`, () => {
    const tasks = [...text.matchAll(/\btask (?!-)([a-z]+)/g)].map(([, task]) => task!);
    assert.deepEqual(tasks.filter((task) => !(task in config.tasks)), []);
    const sets = [...text.matchAll(/-P=([a-z]+)/g)].map(([, set]) => set!);
    assert.deepEqual(sets.filter((set) => !(set in config.permissions)), []);
    const paths = [...text.matchAll(/`((?:[a-z_0-9]+\/)+(?:[a-z_0-9]+\.ts)?)`/g)];
    const missing = paths.map(([, path]) => path!)
      .filter((path) => !/^(?:inbox|received|dist)\//.test(path)) // made at run time
      .filter((path) => !existsSync(join(ROOT, path)));
    assert.deepEqual(missing, []);
  });
}

Deno.test("shapeOf leaves what does not differ from run to run", () => {
  assert.equal(
    shapeOf("Took:     0.03 s, 0.36 MB/s", "/x"),
    shapeOf("Took: 110 ms, 12 MB/s", "/x"),
  );
  assert.equal(shapeOf("PATH  /x/a.sock", "/x"), shapeOf("PATH   /home/you/a.sock", "/x"));
  assert.notEqual(shapeOf("Delivered 3 bytes", "/x"), shapeOf("Delivered 3 bits", "/x"));
});
