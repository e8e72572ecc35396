"""The library of the scenario tests.

gateway   Gateway: `openclaw serve` with a given configuration, checked until its exit
mock      Mock: `openclaw mock`
upstream  RawUpstream: a provider that sends exactly the bytes a test wants
script    Stage: providers that play a script, one step for each request, and a log of what they received
fault     Fault: a failure, what the caller must see and the providers must receive, played by every caller
held      Held: a provider whose answers wait for the test
names     NameServer: a DNS server that answers, drops, delays and fails as told
replay    cases() of recorded traffic, FixtureServer that gives them again whole, in pieces or cut
raw       a client that sends exactly the bytes a test wants, and an HTTP reader of its own
sse       event streams: frames with their raw bytes
openai    what an OpenAI answer or stream says, folded independently of the gateway
anthropic the same for Anthropic's, and a stream against its grammar
ollama    the same for Ollama's
said      what an answer says, whichever protocol says it
asked     what a request asks for, whichever protocol asks
sdk       what the tests of the official SDKs ask for
pages     the commands and programs of a page of documentation
metrics   a Prometheus text, read
process   starting and ending programs, free ports, certificates, secrets that may never be seen
"""
