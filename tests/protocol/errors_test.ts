import assert from "node:assert/strict";
import { DecodeError, PilotError } from "../../protocol/errors.ts";

Deno.test("PilotError carries code, message, hint and cause", () => {
  const cause = new Error("socket");
  const error = new PilotError("timeout", "No answer", { hint: "Try again.", cause });
  assert.ok(error instanceof Error);
  assert.equal(error.name, "PilotError");
  assert.equal(error.code, "timeout");
  assert.equal(error.message, "No answer");
  assert.equal(error.hint, "Try again.");
  assert.equal(error.cause, cause);
});

Deno.test("PilotError has no hint and no cause when none was given", () => {
  const error = new PilotError("internal", "Oops");
  assert.equal(error.hint, undefined);
  assert.equal(Object.hasOwn(error, "cause"), false);
});

Deno.test("PilotError.from keeps a PilotError and wraps anything else", () => {
  const own = new PilotError("denied", "No");
  assert.equal(PilotError.from(own, "internal", "Sending"), own);
  const cause = new TypeError("bad");
  const wrapped = PilotError.from(cause, "io_error", "Reading trust.json");
  assert.equal(wrapped.code, "io_error");
  assert.equal(wrapped.message, "Reading trust.json: bad");
  assert.equal(wrapped.cause, cause);
  assert.equal(PilotError.from("text", "internal").message, "text");
});

Deno.test("DecodeError is a value, not an exception", () => {
  const error = new DecodeError("checksum", "checksum mismatch");
  assert.equal(error instanceof Error, false);
  assert.equal(error.kind, "checksum");
  assert.equal(error.message, "checksum mismatch");
});
