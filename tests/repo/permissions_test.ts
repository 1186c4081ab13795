import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "./sources.ts";

/** A program under one of the permission sets of deno.json, without the right to ask for more. */
function program(set: string, args: readonly string[], env: Record<string, string>): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", `-P=${set}`, join(ROOT, "cli.ts"), ...args, "--json"],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
}

/** Starts a server and returns it with the data of its ready line. */
async function start(set: string, args: readonly string[], env: Record<string, string>) {
  const child = program(set, args, env).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  const stop = async () => {
    child.kill("SIGTERM");
    const { code } = await child.status;
    await reader.cancel();
    return code;
  };
  try {
    return { data: JSON.parse(text).data, stop };
  } catch (error) {
    await stop();
    throw new Error(`${args.join(" ")} printed no ready line: ${text}`, { cause: error });
  }
}

Deno.test({
  name: "each role runs with the permission set named after it",
  ignore: Deno.build.os === "windows",
  timeout: 60_000,
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "perm-" });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(home, { recursive: true }));
    const places = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"];
    const rendezvous = await start("rendezvous", [
      ...["rendezvous", "--store", join(home, "store"), ...places],
    ], { PILOT_HOME: home });
    stack.defer(async () => assert.equal(await rendezvous.stop(), 0));
    const env = {
      PILOT_HOME: home,
      PILOT_SOCKET: "",
      PILOT_REGISTRY: rendezvous.data.registry,
      PILOT_BEACON: rendezvous.data.beacon,
    };
    const daemon = await start("daemon", ["daemon", "run", "--listen", "127.0.0.1:0"], env);
    stack.defer(async () => assert.equal(await daemon.stop(), 0));
    const { success, stdout } = await program("ctl", ["info"], env).output();
    assert.ok(success);
    const { data } = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(data.identity, true);
    const network = await program("ctl", ["netcheck"], env).output();
    assert.equal(network.code, 0);
    const doctor = await program("ctl", ["doctor"], env).output();
    const { data: { checks } } = JSON.parse(new TextDecoder().decode(doctor.stdout));
    const failed = checks.filter(({ status }: { status: string }) => status === "fail");
    assert.deepEqual(failed.map(({ id }: { id: string }) => id), []);
    const gateway = await start("gateway", ["gateway", "run"], env);
    assert.equal(await gateway.stop(), 0);
  },
});
