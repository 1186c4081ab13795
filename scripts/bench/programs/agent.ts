/**
 * The measuring program: one end of a transport, told what to do by JSON lines on stdin, answering on stdout. Started
 * as `agent.ts serve|dial CONFIG`; it ends with its stdin.
 *
 * @module
 */

import { Client } from "./client_program.ts";
import type { Arguments, Operations } from "./operations.ts";
import { openPilot } from "./pilot_transport.ts";
import { openQuic } from "./quic_transport.ts";
import { Server } from "./server_program.ts";
import { openTcp } from "./tcp_transport.ts";
import type { Transport, TransportConfig } from "./measured_transport.ts";

async function open(config: TransportConfig): Promise<Transport> {
  if (config.transport === "pilot") return await openPilot(config);
  return config.transport === "tcp" ? openTcp(config) : await openQuic(config);
}

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

async function main([role, text]: readonly string[]): Promise<void> {
  const transport = await open(JSON.parse(text!));
  let operations: Operations;
  if (role === "serve") {
    const server = new Server();
    console.log(JSON.stringify({ at: await transport.listen(server) }));
    operations = server.operations;
  } else {
    await transport.prepare();
    console.log(JSON.stringify({ ready: true }));
    operations = new Client(transport).operations;
  }
  for await (const line of lines(Deno.stdin.readable)) {
    const { op, ...args } = JSON.parse(line);
    try {
      const operation = operations[op];
      if (operation === undefined) throw new Error(`No operation ${op}`);
      console.log(JSON.stringify({ data: await operation(args as Arguments) }));
    } catch (error) {
      console.log(JSON.stringify({ error: error instanceof Error ? error.message : `${error}` }));
    }
  }
  await transport.close();
}

if (import.meta.main) {
  await main(Deno.args);
  Deno.exit(0);
}
