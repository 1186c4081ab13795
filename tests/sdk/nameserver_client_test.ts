import assert from "node:assert/strict";
import type { Driver, Names } from "../../sdk/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeDial } from "../../protocol/ipc/mod.ts";
import { FakeDaemon, type FakeStream } from "./fake_daemon.ts";
import { bytes, connBytes, MODES, rejectsWith, text } from "./support.ts";
import { TARGET } from "./frames.ts";

const FIVE = "0:0000.0000.0005";

/** Connections have numbers of their own: the end of one may come after the beginning of the next. */
let nextId = 3;

/** Lets the daemon take one request on a connection to port 53 and answer it. */
async function exchange<T>(
  daemon: { driver: Driver; client: Awaited<ReturnType<FakeDaemon["connect"]>>["client"] },
  ask: (names: Names) => Promise<T>,
  request: string,
  answer: string | Uint8Array | ((stream: FakeStream) => void),
): Promise<T> {
  const { driver, client } = daemon;
  const asking = ask(driver.names(TARGET));
  asking.catch(() => {}); // awaited by the caller
  const dial = await client.expect(Cmd.Dial);
  assert.deepEqual(decodeDial(dial.payload), { address: TARGET, port: 53 });
  const id = nextId++;
  const stream = client.stream(id);
  client.answer(dial, Cmd.DialOk, connBytes(id));
  assert.equal(text(await stream.read(bytes(request).length)), request);
  assert.equal(stream.available, 0);
  if (typeof answer === "function") answer(stream);
  else {
    stream.write(typeof answer === "string" ? bytes(answer) : answer);
    stream.end();
  }
  return await asking;
}

for (const mode of MODES) {
  Deno.test(`Driver.names asks and registers with one connection each (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const ends = await daemon.connect();
    const address = { network: 0, node: 5 };
    assert.deepEqual(
      await exchange(ends, (names) => names.queryAddress("bob"), "QUERY A bob", `A bob ${FIVE}`),
      address,
    );
    assert.equal(
      await exchange(ends, (names) => names.queryNetwork("lab"), "QUERY N lab", "N lab 7\n"),
      7,
    );
    assert.deepEqual(
      await exchange(
        ends,
        (names) => names.queryService(7, 80),
        "QUERY S 7 80",
        `S web ${FIVE} 80\nS two ${FIVE} 81`,
      ),
      [{ name: "web", address, port: 80 }, { name: "two", address, port: 81 }],
    );
    assert.deepEqual(
      await exchange(ends, (names) => names.queryService(7, 80), "QUERY S 7 80", "S"),
      [],
    );
    await exchange(
      ends,
      (names) => names.registerAddress("me", { address }),
      `REGISTER A me ${FIVE}`,
      "OK",
    );
    await exchange(ends, (names) => names.registerNetwork("lab", 7), "REGISTER N lab 7", "OK");
    await exchange(
      ends,
      (names) => names.registerService({ name: "web", network: 7, port: 80 }, { address }),
      `REGISTER S web ${FIVE} 7 80`,
      "OK",
    );
  });
}

Deno.test("Names registers our own address unless another is given", async () => {
  await using daemon = new FakeDaemon();
  const ends = await daemon.connect();
  const answering = ends.client.expect(Cmd.Info).then((info) =>
    ends.client.answerJson(info, { node_id: 9, address: "0:0000.0000.0009" })
  );
  await exchange(
    ends,
    (names) => names.registerAddress("me"),
    "REGISTER A me 0:0000.0000.0009",
    "OK",
  );
  await answering;
});

Deno.test("Names distinguishes what is missing, refused and nonsense", async () => {
  await using daemon = new FakeDaemon();
  const ends = await daemon.connect();
  const query = (answer: Parameters<typeof exchange>[3]) =>
    exchange(ends, (names) => names.queryAddress("x"), "QUERY A x", answer);
  await rejectsWith(query('ERR name "x" not found'), "not_found", /"x" not found/);
  await rejectsWith(query("ERR too few fields"), "denied", /too few fields/);
  await rejectsWith(query("OK"), "protocol_error");
  await rejectsWith(query("N x 5"), "protocol_error");
  await rejectsWith(query("A x here"), "protocol_error");
  await rejectsWith(query(new Uint8Array(70_000).fill(65)), "protocol_error");
  await rejectsWith(query((stream) => stream.end()), "protocol_error");
  await rejectsWith(
    query((stream) => stream.end(new PilotError("connection_closed", "reset"))),
    "connection_closed",
  );
  await rejectsWith(
    exchange(
      ends,
      (names) => names.registerNetwork("lab", 1),
      "REGISTER N lab 1",
      'ERR name "lab" is registered by another node',
    ),
    "denied",
    /another node/,
  );
});

Deno.test("Names refuses what is no name before anything is sent", async () => {
  await using daemon = new FakeDaemon();
  const { driver } = await daemon.connect();
  const names = driver.names(TARGET);
  for (const name of ["", "two words", "n".repeat(254)]) {
    await rejectsWith(names.queryAddress(name), "invalid_argument");
  }
  await rejectsWith(names.queryService(0, 70_000), "invalid_argument");
  await rejectsWith(names.registerNetwork("x", -1), "invalid_argument");
});

Deno.test("Names gives up when the time is over, and resets the connection", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const late = rejectsWith(driver.names(TARGET).queryAddress("x", { timeoutMs: 30 }), "timeout");
  const stream = await client.acceptDial(4);
  await late;
  await stream.awaitClose();
});
