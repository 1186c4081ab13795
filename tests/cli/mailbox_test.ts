import assert from "node:assert/strict";
import { join } from "node:path";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { at, run, runJson, withDir } from "./support.ts";

/** A home with an inbox of these messages, oldest first, one minute apart and the last one now. */
async function withInbox(
  messages: readonly Record<string, unknown>[],
  body: (env: Record<string, string>, inbox: string) => Promise<void>,
): Promise<void> {
  await withDir(async (home) => {
    const inbox = join(home, "inbox");
    await Deno.mkdir(inbox);
    for (const [i, message] of messages.entries()) {
      const path = join(inbox, `${message.id}.json`);
      await Deno.writeTextFile(path, JSON.stringify(message));
      const time = new Date(Date.now() - (messages.length - 1 - i) * 60_000);
      await Deno.utime(path, time, time);
    }
    await body({ PILOT_HOME: home }, inbox);
  });
}

const text = (id: string, from: string, data: string) => ({
  id,
  type: "TEXT",
  from,
  data_encoding: "utf8",
  data,
  bytes: data.length,
});
const ALICE = "0:0000.0000.0005";
const BOB = "0:0000.0000.0007";
const MESSAGES = [
  text("TEXT-1", ALICE, "first"),
  text("JSON-2", BOB, "second"),
  text("TEXT-3", ALICE, "third"),
];
const ids = (data: unknown) => (at(data, "messages") as { id: string }[]).map(({ id }) => id);

Deno.test("inbox lists oldest first and filters by number, sender and time", async () => {
  await withInbox(MESSAGES, async (env) => {
    const all = await runJson(["inbox"], { env });
    assert.deepEqual(ids(all.data), ["TEXT-1", "JSON-2", "TEXT-3"]);
    assert.deepEqual(at(all.data, "messages", 0), MESSAGES[0]);
    assert.deepEqual([at(all.data, "total"), at(all.data, "shown")], [3, 3]);
    const cases: [string[], string[], number][] = [
      [["--limit", "2"], ["JSON-2", "TEXT-3"], 3],
      [["--limit", "0"], ["TEXT-1", "JSON-2", "TEXT-3"], 3],
      [["--latest"], ["TEXT-3"], 3],
      [["--from", ALICE], ["TEXT-1", "TEXT-3"], 2],
      [["--from", ALICE, "--latest"], ["TEXT-3"], 2],
      [["--since", "90s"], ["JSON-2", "TEXT-3"], 2],
      [["list", "--since", "2000-01-01T00:00:00Z"], ["TEXT-1", "JSON-2", "TEXT-3"], 3],
    ];
    for (const [args, expected, total] of cases) {
      const { data } = await runJson(["inbox", ...args], { env });
      assert.deepEqual(ids(data), expected, args.join(" "));
      assert.equal(at(data, "total"), total, args.join(" "));
    }
    assert.equal((await run(["inbox", "--since", "yesterday"], { env })).code, 2);
  });
});

Deno.test("inbox orders messages of one millisecond by their counter, whatever their type", async () => {
  const stamps = [
    "TEXT-20261121-013400.123-000001",
    "JSON-20261121-013400.123-000002",
    "TEXT-20261121-013400.124-000000",
  ];
  const messages = stamps.toReversed().map((id) => text(id, ALICE, id));
  await withInbox(messages, async (env) => {
    assert.deepEqual(ids((await runJson(["inbox"], { env })).data), stamps);
  });
});

Deno.test("inbox read shows one message by a unique beginning of its id, bytes as they are", async () => {
  const binary = {
    id: "BINARY-4",
    type: "BINARY",
    from: BOB,
    data_encoding: "base64",
    data_b64: "/wA=",
    bytes: 2,
  };
  await withInbox([...MESSAGES, binary], async (env) => {
    assert.equal((await run(["inbox", "read", "JSON"], { env })).stdout, "second\n");
    const read = await runJson(["inbox", "read", "BINARY-4"], { env });
    assert.deepEqual(read.data, binary);
    assert.equal((await run(["inbox", "read", "BIN"], { env })).stdout.length, 2);
    const several = await run(["inbox", "read", "TEXT"], { env });
    assert.equal(several.code, 2);
    assert.match(several.stderr, /2 messages begin with "TEXT"/);
    assert.equal((await run(["inbox", "read", "../config"], { env })).code, EXIT_CODES.not_found);
    assert.equal((await run(["inbox", "read"], { env })).code, 2);
    assert.equal((await run(["inbox", "eat"], { env })).code, 2);
  });
});

Deno.test("inbox clear --from removes the messages of one node only", async () => {
  await withInbox(MESSAGES, async (env) => {
    const cleared = await runJson(["inbox", "clear", "--from", ALICE, "--before", "90s"], { env });
    assert.deepEqual(cleared.data, { cleared: 1 });
    assert.deepEqual((await runJson(["inbox", "--clear", "--from", ALICE], { env })).data, {
      cleared: 1,
    });
    assert.deepEqual(ids((await runJson(["inbox"], { env })).data), ["JSON-2"]);
  });
});

Deno.test("inbox remove and clear delete what they say", async () => {
  await withInbox(MESSAGES, async (env, inbox) => {
    await Deno.writeTextFile(join(inbox, ".unfinished.tmp"), "not a message");
    const removed = await runJson(["inbox", "remove", "JSON-2"], { env });
    assert.deepEqual(removed.data, { removed: "JSON-2" });
    const old = await runJson(["inbox", "clear", "--before", "90s"], { env });
    assert.deepEqual(old.data, { cleared: 1 });
    assert.deepEqual(ids((await runJson(["inbox"], { env })).data), ["TEXT-3"]);
    assert.deepEqual((await runJson(["inbox", "--clear"], { env })).data, { cleared: 1 });
    assert.deepEqual((await runJson(["inbox"], { env })).data, {
      messages: [],
      total: 0,
      shown: 0,
      dir: inbox,
    });
    assert.deepEqual([...Deno.readDirSync(inbox)].map(({ name }) => name), [".unfinished.tmp"]);
  });
});

Deno.test("inbox shows a damaged file as such, and is empty without a directory", async () => {
  await withInbox([text("TEXT-1", ALICE, "x")], async (env, inbox) => {
    const path = join(inbox, "TEXT-9.json");
    await Deno.writeTextFile(path, "{half");
    await Deno.utime(path, new Date(), new Date(Date.now() + 1000));
    const { data } = await runJson(["inbox"], { env });
    assert.deepEqual(at(data, "messages", 1), {
      id: "TEXT-9",
      type: "DAMAGED",
      bytes: 5,
      data: "",
    });
  });
  await withDir(async (home) => {
    const env = { PILOT_HOME: home };
    assert.deepEqual(at((await runJson(["inbox"], { env })).data, "messages"), []);
    assert.deepEqual((await runJson(["inbox", "clear"], { env })).data, { cleared: 0 });
    assert.deepEqual(at((await runJson(["received"], { env })).data, "files"), []);
  });
});

Deno.test("received lists and clears files and leaves unfinished transfers alone", async () => {
  await withDir(async (home) => {
    const env = { PILOT_HOME: home };
    const dir = join(home, "received");
    await Deno.mkdir(join(dir, ".partial"), { recursive: true });
    await Deno.writeTextFile(join(dir, "a.txt"), "12345");
    const { data } = await runJson(["received"], { env });
    assert.equal(at(data, "total"), 1);
    assert.equal(at(data, "files", 0, "name"), "a.txt");
    assert.equal(at(data, "files", 0, "bytes"), 5);
    assert.equal(at(data, "files", 0, "path"), join(dir, "a.txt"));
    assert.deepEqual((await runJson(["received", "clear"], { env })).data, { cleared: 1 });
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), [".partial"]);
  });
});
