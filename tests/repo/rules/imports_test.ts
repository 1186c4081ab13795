import assert from "node:assert/strict";
import { builtinModules } from "node:module";
import config from "../../../deno.json" with { type: "json" };
import { importsOf, PRODUCT_FOLDERS, productSources } from "../sources.ts";

/** Where each folder may import from, besides itself. */
const DIRECTIONS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  platform: ["protocol"],
  sdk: ["protocol", "platform"],
  cli: ["sdk", "protocol", "platform"],
  gateway: ["sdk", "protocol", "platform"],
  daemon: ["protocol", "platform"],
  rendezvous: ["protocol", "platform"],
  "mod.ts": ["sdk", "protocol"],
  "cli.ts": ["cli", "daemon", "rendezvous", "gateway"],
};

/** Builtins the protocol may use, and what of them: pure functions only. */
const PROTOCOL_BUILTINS: Readonly<Record<string, readonly string[]>> = {
  "node:buffer": ["Buffer"],
  "node:crypto": [
    ...["createCipheriv", "createDecipheriv", "createHash", "hkdfSync", "timingSafeEqual"],
  ],
  "node:net": ["isIP", "isIPv4", "isIPv6"],
  "node:zlib": ["crc32"],
};

/** Product modules may use what is built in; `node:sqlite` is missing from Deno's list of builtins. */
function isBuiltin(from: string): boolean {
  return from === "node:sqlite" ||
    (from.startsWith("node:") && builtinModules.includes(from.slice("node:".length)));
}

const sources = productSources();

Deno.test("every folder of the product has its import directions", () => {
  assert.deepEqual(
    Object.keys(DIRECTIONS).sort(),
    [...PRODUCT_FOLDERS, "mod.ts", "cli.ts"].sort(),
  );
});

Deno.test("imports point one way", () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ from }) => from.endsWith(".ts"))
      .map(({ from }) => from.split("/")[0]!)
      .filter((room) => room !== file.room && !DIRECTIONS[file.room]!.includes(room))
      .map((room) => `${file.path} imports from ${room}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("everything else that is imported is a builtin or in the import map", () => {
  const mapped = Object.keys(config.imports);
  const isMapped = (from: string) =>
    mapped.some((name) => name.endsWith("/") ? from.startsWith(name) : from === name);
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ from }) => !/\.(?:ts|json)$/.test(from) || from.startsWith("@"))
      .filter(({ from }) => !isBuiltin(from) && !isMapped(from))
      .map(({ from }) => `${file.path} imports ${from}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("the protocol takes only pure functions from builtins", () => {
  const wrong = sources.filter(({ room }) => room === "protocol").flatMap((file) =>
    importsOf(file)
      .filter(({ from }) => from.startsWith("node:"))
      .flatMap(({ from, names }) => names.map((name) => ({ from, name })))
      .filter(({ from, name }) => !PROTOCOL_BUILTINS[from]?.includes(name))
      .map(({ from, name }) => `${file.path} imports ${name} from ${from}`)
  );
  assert.deepEqual(wrong, []);
});

Deno.test("importsOf finds every form of import", () => {
  const text = `
import a from "./a.ts";
import { b, type C as D } from "../b.ts";
import type { E } from "npm";
import * as f from "node:f";
import "./side.ts";
import config from "./x.json" with { type: "json" };
export * from "./g.ts";
export { h } from "./h.ts";
export const text = "./no.ts"; // import "./no.ts";
const later = await import("./i.ts");
`;
  assert.deepEqual(importsOf({ path: "x/y/z.ts", room: "x", text }), [
    { from: "x/y/a.ts", names: ["*"] },
    { from: "x/b.ts", names: ["b", "C"] },
    { from: "npm", names: ["E"] },
    { from: "node:f", names: ["*"] },
    { from: "x/y/side.ts", names: ["*"] },
    { from: "x/y/x.json", names: ["*"] },
    { from: "x/y/g.ts", names: ["*"] },
    { from: "x/y/h.ts", names: ["h"] },
    { from: "x/y/i.ts", names: ["*"] },
  ]);
});
