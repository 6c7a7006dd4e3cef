// Every call of go-zookeeper/zk against a server; names of checks as arguments run only those.
package main

import "os"

func main() {
	os.Exit(runAll([]check{
		{"connect", connect},
		{"options", options},
		{"create-get-set-delete", createGetSetDelete},
		{"null-is-not-empty", nullIsNotEmpty},
		{"large-data", largeData},
		{"errors", errorsOfNodes},
		{"create-flags", createFlags},
		{"protected-sequential", protectedSequential},
		{"containers", containers},
		{"ttl", ttl},
		{"children", children},
		{"many-at-once", manyAtOnce},
		{"sync", syncs},
		{"acls", acls},
		{"auth-fails", authFails},
		{"multi-commits-as-one", multiCommitsAsOne},
		{"multi-fails-as-one", multiFailsAsOne},
		{"members-of-a-standalone-server", members},
		{"four-letter-words", fourLetterWords},
		{"watches", watches},
		{"many-watchers-of-one-node", manyWatchers},
		{"watches-over-a-cut-line", watchesOverACutLine},
		{"thousands-of-watches-set-again", thousandsOfWatches},
		{"auth-is-sent-again", authIsSentAgain},
		{"close-ends-ephemerals", closeEndsEphemerals},
		{"session-expires", sessionExpires},
		{"killed-server-comes-back", killedServerComesBack},
		{"protected-create-over-a-killed-server", protectedOverKilledServer},
		{"lock-contested", lockContested},
		{"lock-calls", lockCalls},
		{"lock-of-an-ended-session", lockOfAnEndedSession},
	}, os.Args[1:]))
}
