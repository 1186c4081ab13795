/**
 * Tries a request in every way: good, unsigned, wrongly signed, by a stranger, with fields that make no sense, in both
 * modes, by a strict and by a lax server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { registryFailure } from "../../../platform/registry_client.ts";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { type Fields, MASKED, type Subject } from "./subject.ts";
import { WHOLE_BY } from "../support/whole.ts";
import { ADMIN, inWorld, MODES, NETWORK_ADMIN, type World } from "./world.ts";

const UNSIGNED = "signature required for authenticated node";
const WHOLE = "signature over the whole request required: ";
const WHOLE_FOR_ROLE = `${WHOLE}it changes a network by role`;
const WHOLE_FOR_SCORE = `${WHOLE}it changes a score`;
const NO_ROLE = "rbac: node_id required for role-based authorization";

interface Attempt {
  readonly what: string;
  readonly request: Fields;
  readonly error: string | RegExp;
}

function isAdminEnough(where: boolean | "lax" | undefined, strict: boolean): boolean {
  return where === "lax" ? !strict : where === true;
}

/** Texts of which a client without codes guesses wrongly what they mean. */
const BETTER_CODES: readonly [RegExp, string][] = [
  [/^invalid admin token|^invalid token for |cluster's token/, "denied"],
  [/^cannot (?:trust|invite) yourself/, "invalid_argument"],
  [/^cannot (?:set max_members|set a token:|leave network: owner)|has expired$/, "invalid_state"],
];

/** The code that goes with a text: what a client without codes takes it for, or better. */
function expectedCode(error: string): string {
  if (error === MASKED) return "denied";
  const better = BETTER_CODES.find(([text]) => text.test(error));
  return better?.[1] ?? registryFailure("", { error }).code;
}

/** Tries one subject. */
export async function tryAll(subject: Subject, strict: boolean): Promise<void> {
  await inWorld(strict, async (world) => {
    await subject.before?.(world);
    for (const attempt of await attempts(subject, world, strict)) {
      for (const mode of MODES) {
        const where = `${subject.type}, ${attempt.what}, ${mode}, ${strict ? "strict" : "lax"}`;
        const reply = await world.call(mode, attempt.request);
        const { auth, ...rest } = reply;
        assert.equal(auth !== undefined, String(attempt.error).startsWith(WHOLE), where);
        assert.deepEqual(Object.keys(rest).sort(), ["code", "error", "type"], where);
        assert.equal(reply.code, expectedCode(String(reply.error)), where);
        assert.equal(reply.type, "error", where);
        if (typeof attempt.error === "string") assert.equal(reply.error, attempt.error, where);
        else assert.match(String(reply.error), attempt.error, where);
      }
    }
  });
  for (const good of goodOnes(subject, strict)) {
    for (const mode of MODES) {
      await inWorld(strict, async (world) => {
        await subject.before?.(world);
        const where = `${subject.type}, ${good.what}, ${mode}, ${strict ? "strict" : "lax"}`;
        const request = {
          type: subject.type,
          ...subject.fields(world),
          ...await good.proof(world),
        };
        const reply = await world.call(mode, request);
        assert.deepEqual(reply, { type: `${subject.type}_ok`, ...subject.reply(world) }, where);
      });
    }
  }
}

/** The ways in which it succeeds. */
function goodOnes(
  { auth }: Subject,
  strict: boolean,
): { what: string; proof: (world: World) => Promise<Fields> }[] {
  const none = () => Promise.resolve({});
  const token = (admin_token: string) => () => Promise.resolve({ admin_token });
  switch (auth.kind) {
    case "none":
      return [{ what: "good", proof: none }];
    case "admin":
      return [{ what: "by the admin", proof: token(ADMIN) }];
    case "node": {
      const isWhole = strict && auth.isOpenWhenLax === true;
      const signed = async (world: World): Promise<Fields> =>
        isWhole
          ? { [WHOLE_BY]: auth.by(world) }
          : { signature: await auth.by(world).sign(auth.challenge(world)) };
      return [
        { what: "signed", proof: signed },
        ...(isAdminEnough(auth.isAdminEnough, strict)
          ? [{ what: "by the admin", proof: token(ADMIN) }]
          : []),
        ...(auth.isOpenWhenLax && !strict ? [{ what: "unsigned", proof: none }] : []),
      ];
    }
    case "member":
      return [
        { what: "signed", proof: (world) => Promise.resolve({ [WHOLE_BY]: world.member }) },
        { what: "by the admin", proof: token(ADMIN) },
        { what: "by the network's admin", proof: token(NETWORK_ADMIN) },
        ...(strict ? [] : [{ what: "by anybody", proof: none }]),
      ];
    case "role": {
      const signed = (world: World) => Promise.resolve({ [WHOLE_BY]: world.owner });
      const nobody = { node_id: undefined };
      return [
        { what: "signed by the owner", proof: signed },
        { what: "by the admin", proof: () => Promise.resolve({ ...nobody, admin_token: ADMIN }) },
        {
          what: "by the network's admin",
          proof: () => Promise.resolve({ ...nobody, admin_token: NETWORK_ADMIN }),
        },
        ...(strict ? [] : [{ what: "claimed by the owner", proof: none }]),
      ];
    }
  }
}

/** What must be refused. */
async function attempts(subject: Subject, world: World, strict: boolean): Promise<Attempt[]> {
  const { auth } = subject;
  const good = { type: subject.type, ...subject.fields(world) };
  const list: Attempt[] = [];
  const add = (what: string, fields: Fields, error: string | RegExp) =>
    list.push({ what, request: { ...good, ...fields }, error });
  const noise = encodeBase64(crypto.getRandomValues(new Uint8Array(64)));
  if (auth.kind === "node" && strict && auth.isOpenWhenLax === true) {
    const signature = await auth.by(world).sign(auth.challenge(world));
    add("unsigned", {}, WHOLE_FOR_SCORE);
    add("the wire's signature only", { signature }, WHOLE_FOR_SCORE);
    add("stranger's signature", { [WHOLE_BY]: world.open }, MASKED);
    add("wrong admin token", { signature, admin_token: "wrong" }, WHOLE_FOR_SCORE);
  } else if (auth.kind === "node" && !auth.isOpenWhenLax) {
    const by = auth.by(world);
    const challenge = auth.challenge(world);
    const other = new TextEncoder().encode("heartbeat:0");
    add("unsigned", {}, UNSIGNED);
    add("signature that is no base64", { signature: "!!" }, /^invalid signature encoding: /);
    add("signature of noise", { signature: noise }, MASKED);
    add("short signature", { signature: encodeBase64(new Uint8Array(10)) }, MASKED);
    add("signature of something else", { signature: await by.sign(other) }, MASKED);
    add("stranger's signature", { signature: await world.open.sign(challenge) }, MASKED);
    add("wrong admin token", { signature: noise, admin_token: "wrong" }, MASKED);
    if (!isAdminEnough(auth.isAdminEnough, strict)) {
      add("admin token", { admin_token: ADMIN }, UNSIGNED);
    }
  } else if (auth.kind === "role") {
    const { owner, member, stranger } = world;
    const sign = async (node: typeof owner, as: typeof owner) => ({
      node_id: as.id,
      signature: await node.sign(auth.challenge(world, as.id)),
    });
    add("nobody", { node_id: undefined }, NO_ROLE);
    add("nobody with a wrong token", { node_id: undefined, admin_token: "wrong" }, NO_ROLE);
    add("a mere member", await sign(member, member), MASKED);
    add("no member", await sign(stranger, stranger), MASKED);
    if (strict) {
      add("claimed by the owner", { node_id: owner.id }, WHOLE_FOR_ROLE);
      add("the wire's signature only", await sign(owner, owner), WHOLE_FOR_ROLE);
      add("signed by a member for the owner", { node_id: owner.id, [WHOLE_BY]: member }, MASKED);
      add("signature of noise", { node_id: owner.id, signature: noise }, WHOLE_FOR_ROLE);
    }
  } else if (auth.kind === "member") {
    const { stranger, enterprise } = world;
    const hidden = `${WHOLE}network ${enterprise} shows this to its members only`;
    if (strict) {
      add("unsigned", {}, hidden);
      add("wrong token", { admin_token: "wrong" }, hidden);
      const text = `node ${stranger.id} is not a member of network ${enterprise}`;
      add("a stranger", { [WHOLE_BY]: stranger }, text);
    }
  } else if (auth.kind === "admin") {
    add("without token", {}, "invalid admin token");
    add("wrong token", { admin_token: "wrong" }, "invalid admin token");
    add("token of the network", { admin_token: NETWORK_ADMIN }, "invalid admin token");
  }
  for (const refusal of subject.refusals ?? []) {
    if (refusal.strict !== undefined && refusal.strict !== strict) continue;
    const error = typeof refusal.error === "string" ? refusal.error : refusal.error(world);
    const proof = refusal.challenge !== undefined && auth.kind === "node"
      ? { signature: await auth.by(world).sign(refusal.challenge(world)) }
      : await goodOnes(subject, strict)[0]!.proof(world);
    add(refusal.what, { ...proof, ...refusal.fields(world) }, error);
  }
  return list;
}
