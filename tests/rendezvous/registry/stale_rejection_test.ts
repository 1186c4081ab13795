import assert from "node:assert/strict";
import { registered } from "../support/client.ts";
import { withServer } from "../support/server.ts";
import { Actions } from "../support/trust_actions.ts";

/** What waits for the asker after it was rejected and has asked again. */
function waitingAfter(message: string | undefined): Promise<unknown> {
  let waiting: unknown;
  return withServer(async ({ client }) => {
    const act = new Actions(client);
    const [asker, asked] = [await registered(client), await registered(client)];
    await act.request(asker, asked.id, "first");
    await act.poll(asked);
    await act.respond(asked, asker.id, false, message);
    await act.request(asker, asked.id, "again");
    waiting = (await act.poll(asker))["responses"];
    await act.respond(asked, asker.id, false);
    const [answer] = (await act.poll(asker))["responses"] as unknown[];
    assert.ok(answer !== undefined, "the answer to the new request");
  }).then(() => waiting);
}

Deno.test("a rejection that nobody has fetched does not wait for the asker that has asked again", async () => {
  assert.deepEqual(await waitingAfter(undefined), []);
});

Deno.test("a rejection with a message says itself which request it answers, and waits on", async () => {
  const waiting = await waitingAfter('{"type":"handshake_reject"}');
  assert.equal((waiting as unknown[]).length, 1);
});
