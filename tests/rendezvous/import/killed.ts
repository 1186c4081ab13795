/** An import that dies in the middle of its transaction: `deno run -A killed.ts SNAPSHOT STORE ROWS`. */

import { fill } from "../../../rendezvous/registry/import/import.ts";
import { convertSnapshot } from "../../../rendezvous/registry/import/snapshot.ts";

const [file, store, rows] = Deno.args;
const { batch } = convertSnapshot(JSON.parse(await Deno.readTextFile(file!)), 1);

class Deadly<T> extends Array<T> {
  override *[Symbol.iterator](): ArrayIterator<T> {
    for (let i = 0; i < this.length; i++) {
      if (i === Number(rows)) Deno.kill(Deno.pid, "SIGKILL");
      yield this[i]!;
    }
  }
}

const nodes = new Deadly<(typeof batch.nodes)[number]>();
for (const node of batch.nodes) nodes.push(node);
await fill(store!, { ...batch, nodes });
