import assert from "node:assert/strict";
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
