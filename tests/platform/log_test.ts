import assert from "node:assert/strict";
import type { Advice } from "../../protocol/advice.ts";
import { replaceUnsafe } from "../../protocol/untrusted_text.ts";
import { configureLog, getLogger, LOG_CATEGORY, resetLog } from "../../platform/log.ts";

Deno.test("configureLog writes key=value lines from the chosen level up", () => {
  const lines: string[] = [];
  configureLog({ level: "warn", write: (line) => lines.push(line) });
  try {
    const log = getLogger([LOG_CATEGORY, "tunnel"]);
    log.info("quiet");
    log.warn("peer rekeyed", { node_id: 7, why: "a b" });
  } finally {
    resetLog();
  }
  assert.equal(lines.length, 1);
  assert.match(
    lines[0]!,
    /level=warning logger=pilot\.tunnel msg="peer rekeyed" node_id=7 why="a b"\n$/,
  );
});

Deno.test("configureLog writes JSON lines with the properties beside the message", () => {
  const lines: string[] = [];
  configureLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
  try {
    getLogger(LOG_CATEGORY).debug("daemon registered", { node_id: 5 });
  } finally {
    resetLog();
  }
  const record = JSON.parse(lines[0]!);
  assert.equal(record.message, "daemon registered");
  assert.equal(record.level, "DEBUG");
  assert.equal(record.node_id, 5);
});

Deno.test("log values cannot forge further lines", () => {
  const lines: string[] = [];
  configureLog({ write: (line) => lines.push(line) });
  try {
    getLogger(LOG_CATEGORY).info("name {name}", { name: "x\nlevel=error msg=forged" });
  } finally {
    resetLog();
  }
  assert.equal(lines.join("").trimEnd().split("\n").length, 1);
});

/** C1, direction, invisible, line separator, tag. */
const HOSTILE = "x\u009b2J\u202e\u200b\u2028\u{e0041}";
const ESCAPED = "x\\u009b2J\\u202e\\u200b\\u2028\\udb40\\udc41";

for (const format of ["text", "json"] as const) {
  Deno.test(`log values cannot steer a terminal (${format})`, () => {
    const lines: string[] = [];
    configureLog({ format, write: (line) => lines.push(line) });
    try {
      getLogger(LOG_CATEGORY).info("handshake", { why: HOSTILE });
    } finally {
      resetLog();
    }
    assert.ok(lines[0]!.includes(ESCAPED), lines[0]);
    assert.equal(replaceUnsafe(lines[0]!), lines[0]!.replace("\n", "?"));
    if (format === "json") assert.equal(JSON.parse(lines[0]!).why, HOSTILE);
  });
}

Deno.test("advice in an entry is put into words by the program that sets the log up", () => {
  const written = (advise?: (advice: Advice) => string) => {
    const lines: string[] = [];
    configureLog({ format: "json", advise, write: (line) => lines.push(line) });
    const log = getLogger([LOG_CATEGORY, "test"]);
    log.warn("alone", { node: 7, advice: { id: "ask_trust", node: 7 } });
    log.warn("unknown", { advice: { id: "no_such_thing" } });
    resetLog();
    return lines.map((line) => JSON.parse(line));
  };
  const [alone, unknown] = written(({ id }) => `do ${id}`);
  assert.deepEqual([alone.hint, alone.node, alone.advice], ["do ask_trust", 7, undefined]);
  assert.deepEqual([unknown.hint, unknown.advice], [undefined, { id: "no_such_thing" }]);
  assert.equal(written()[0].hint, '{"id":"ask_trust","node":7}');
});

Deno.test("announceTrouble prints one harmless line", async () => {
  const log = new URL("../../platform/log.ts", import.meta.url);
  const code = `import { announceTrouble } from ${JSON.stringify(log)};
    announceTrouble("gateway: " + Deno.args[0] + "\\nforged");`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["eval", `--config=${config}`, "--ext=ts", code, HOSTILE];
  const output = await new Deno.Command(Deno.execPath(), { args }).output();
  const stderr = new TextDecoder().decode(output.stderr);
  assert.equal(stderr, `gateway: ${ESCAPED}\\u000aforged\n`);
});

Deno.test({
  name: "a line that a full disk cut off does not spoil the next one",
  ignore: Deno.build.os === "windows",
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      const log = new URL("../../platform/log.ts", import.meta.url);
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const path = `${dir}/log`;
      // The limit on the size of files stands for a full disk, and room is made by cutting off more of the line.
      const code = `import { announceTrouble } from ${JSON.stringify(log)};
        announceTrouble("whole");
        announceTrouble("x".repeat(2000));
        announceTrouble("lost");
        if (Deno.statSync(Deno.args[0]).size !== 1024) throw new Error("not cut off");
        Deno.truncateSync(Deno.args[0], 100);
        announceTrouble("after");
        announceTrouble("and on");`;
      const args = ["eval", `--config=${config}`, "--ext=ts", code, path];
      const script = `trap '' XFSZ; ulimit -f 2; exec "$0" "$@" 2>>"$PILOT_TEST_LOG"`;
      const { code: exit } = await new Deno.Command("sh", {
        args: ["-c", script, Deno.execPath(), ...args],
        env: { PILOT_TEST_LOG: path },
      }).output();
      assert.equal(exit, 0, await Deno.readTextFile(path));
      const lines = (await Deno.readTextFile(path)).split("\n");
      assert.deepEqual(lines, ["whole", "x".repeat(94), "after", "and on", ""]);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
