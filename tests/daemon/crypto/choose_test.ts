/** What `chooseAead` does where the runtime lacks something or computes wrongly, in processes of their own. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const ROOT = new URL("../../../", import.meta.url);

/** In place of `node:crypto`; `change` is the body of a function of the algorithm and what it makes of bytes. */
function cryptoWith(change: string): string {
  return `
    import * as real from "node:crypto";
    export * from "node:crypto";
    const change = (algorithm, update) => { ${change} };
    const changed = (make) => (algorithm, ...rest) => {
      const update = change(algorithm, (data) => original(data));
      const cipher = make(algorithm, ...rest);
      const original = cipher.update.bind(cipher);
      if (update !== undefined) cipher.update = update;
      return cipher;
    };
    export const createCipheriv = changed(real.createCipheriv);
    export const createDecipheriv = changed(real.createDecipheriv);
  `;
}

const NO_ECB = 'if (algorithm === "aes-256-ecb") throw new Error("Unknown cipher");';

/** Chooses in a process without FFI whose `node:crypto` was changed and where `first` ran before anything else. */
async function choose(
  kind: string,
  { change = "", first = "" }: { change?: string; first?: string },
): Promise<{ name?: string; error?: string; resources: string[] }> {
  const dir = await Deno.makeTempDir();
  try {
    const folder = `${pathToFileURL(dir).href}/`;
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const maps = {
      imports: { ...imports, "node:crypto": `${folder}crypto.js` },
      scopes: { [folder]: { "node:crypto": "node:crypto" } },
    };
    await Deno.writeTextFile(join(dir, "map.json"), JSON.stringify(maps));
    await Deno.writeTextFile(join(dir, "crypto.js"), cryptoWith(change));
    await Deno.writeTextFile(
      join(dir, "main.js"),
      `
        ${first}
        const { chooseAead } = await import(${JSON.stringify(`${ROOT}daemon/crypto/choose.ts`)});
        const said = {};
        try {
          const chosen = chooseAead(${JSON.stringify(kind)});
          said.name = chosen.name;
          const aead = chosen.factory(new Uint8Array(32).fill(1));
          const buf = new Uint8Array(116);
          for (let i = 0; i < 20; i++) {
            const nonce = new Uint8Array(12).fill(i, 11);
            aead.seal(nonce, nonce, buf.fill(i), 0, 100);
            if (!aead.open(nonce, nonce, buf, 0, 116) || buf[99] !== i) throw new Error("wrong");
          }
          aead.destroy();
          chosen.close();
        } catch (error) {
          said.error = error.message;
        }
        said.resources = Object.values(Deno[Deno.internal].core.resources());
        console.log(JSON.stringify(said));
      `,
    );
    const map = `--import-map=${join(dir, "map.json")}`;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-check", "--no-prompt", "-R", "-E", map, join(dir, "main.js")],
      cwd: ROOT,
      stdin: "null",
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const STANDARD = ["stdin", "stdout", "stderr"];
const cases: [string, Parameters<typeof choose>[1], string][] = [
  ["nothing is missing", {}, "WebAssembly"],
  ["there is no WebAssembly", { first: "delete globalThis.WebAssembly;" }, "node:crypto"],
  [
    "WebAssembly has no SIMD",
    {
      first:
        'WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError("?"); } };',
    },
    "node:crypto",
  ],
  ["there is no AES-ECB", { change: NO_ECB }, "node:crypto"],
  [
    "AES-ECB computes wrongly",
    { change: 'if (algorithm.endsWith("ecb")) return (data) => update(data).fill(1);' },
    "node:crypto",
  ],
  [
    "AES-ECB computes wrongly for more than a packet",
    {
      change: `if (algorithm.endsWith("ecb")) return (data) =>
        data.length > 2000 ? update(data).fill(1, 1500) : update(data);`,
    },
    "node:crypto",
  ],
  [
    "AES-ECB keeps bytes back",
    {
      change: `if (algorithm.endsWith("ecb")) return (data) =>
        data.length > 2000 ? update(data).subarray(16) : update(data);`,
    },
    "node:crypto",
  ],
  [
    "node:crypto has no AES at all",
    { change: 'throw new Error("Unknown cipher");' },
    "@noble/ciphers",
  ],
];
for (const [what, changes, name] of cases) {
  Deno.test(`chooseAead moves on to ${name} when ${what}, and leaves nothing open`, async () => {
    assert.deepEqual(await choose("auto", changes), { name, resources: STANDARD });
  });
}

Deno.test("chooseAead says why when the one asked for does not work", async () => {
  const { error, resources } = await choose("wasm", { change: NO_ECB });
  assert.equal(error, "No AES-256-GCM works here (wasm: Unknown cipher)");
  assert.deepEqual(resources, STANDARD);
});
