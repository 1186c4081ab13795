import { testUdpSocket } from "./socket_suite.ts";

testUdpSocket("portable");
