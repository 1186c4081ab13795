import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { testUdpSocket } from "./socket_suite.ts";

// Elsewhere the portable form serves, which has the same suite.
if (linuxSocketProblem() === "") testUdpSocket("linux");
