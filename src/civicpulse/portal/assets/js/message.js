// A page with a message and nothing else: only the header works.
import { setUpHeader } from "./lib/header.js";

setUpHeader();
