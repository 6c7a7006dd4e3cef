package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

var open = zk.WorldACL(zk.PermAll)

// make creates a node with the data of its own path.
func (e *env) make(c *client, path string) {
	real, err := c.Create(path, []byte(path), zk.FlagPersistent, open)
	e.ok(err)
	e.equal(real, path)
}

func (e *env) gone(c *client, path string) bool {
	exists, _, err := c.Exists(path)
	e.ok(err)
	return !exists
}

func connect(e *env) {
	conn, events, err := zk.Connect([]string{e.server.address}, 9*time.Second, zk.WithLogger(silent{}))
	e.ok(err)
	e.atEnd(conn.Close)
	for _, want := range []zk.State{zk.StateConnecting, zk.StateConnected, zk.StateHasSession} {
		event := <-events
		e.equal(event.Type, zk.EventSession)
		e.equal(event.State, want)
		e.equal(event.Server, e.server.address)
	}
	e.equal(conn.State(), zk.StateHasSession)
	e.equal(conn.Server(), e.server.address)
	e.that(conn.SessionID() != 0, "a session id")
	names, _, err := conn.Children("/zookeeper")
	e.ok(err)
	sort.Strings(names)
	e.equal(names, []string{"config", "quota"})
	conn.Close()
	for event := range events {
		e.equal(event.State, zk.StateDisconnected)
	}
}

type countingLogger struct{ lines atomic.Int32 }

func (l *countingLogger) Printf(string, ...interface{}) { l.lines.Add(1) }

type oneHost struct {
	address   string
	connected atomic.Int32
}

func (h *oneHost) Init([]string) error  { return nil }
func (h *oneHost) Len() int             { return 1 }
func (h *oneHost) Next() (string, bool) { return h.address, false }
func (h *oneHost) Connected()           { h.connected.Add(1) }

func options(e *env) {
	host := &oneHost{address: e.server.address}
	logger, other := &countingLogger{}, &countingLogger{}
	var told atomic.Int32
	conn, _, err := zk.Connect([]string{"nobody.invalid:1"}, time.Hour,
		zk.WithHostProvider(host), zk.WithLogger(logger), zk.WithLogInfo(true),
		zk.WithEventCallback(func(zk.Event) { told.Add(1) }),
		zk.WithMaxBufferSize(1<<20), zk.WithMaxConnBufferSize(2<<20))
	e.ok(err)
	e.atEnd(conn.Close)
	e.eventually("connected", func() bool { return host.connected.Load() == 1 })
	conn.SetLogger(other)
	_, _, err = conn.Get("/")
	e.ok(err)
	e.that(logger.lines.Load() > 0 && told.Load() >= 3, "log lines and events came")

	var dialed atomic.Int32
	deprecated, _, err := zk.ConnectWithDialer([]string{e.server.address}, 5*time.Second,
		func(network, address string, timeout time.Duration) (net.Conn, error) {
			dialed.Add(1)
			return net.DialTimeout(network, address, timeout)
		})
	e.ok(err)
	deprecated.SetLogger(silent{})
	e.atEnd(deprecated.Close)
	_, _, err = deprecated.Get("/")
	e.ok(err)
	e.equal(dialed.Load(), int32(1))
}

func createGetSetDelete(e *env) {
	c := e.client()
	path, err := c.Create(e.path, []byte("one"), 0, open)
	e.ok(err)
	e.equal(path, e.path)
	data, stat, err := c.Get(path)
	e.ok(err)
	e.equal(data, []byte("one"))
	e.equal(*stat, zk.Stat{Czxid: stat.Czxid, Mzxid: stat.Czxid, Pzxid: stat.Czxid, Ctime: stat.Ctime, Mtime: stat.Ctime,
		DataLength: 3})
	age := time.Since(time.UnixMilli(stat.Ctime))
	e.that(age > -time.Minute && age < time.Minute, "the time of creation is now")

	after, err := c.Set(path, []byte("two!"), 0)
	e.ok(err)
	e.that(after.Mzxid > stat.Mzxid && after.Mtime >= stat.Mtime, "a later zxid and time")
	e.equal(*after, zk.Stat{Czxid: stat.Czxid, Mzxid: after.Mzxid, Pzxid: stat.Czxid, Ctime: stat.Ctime,
		Mtime: after.Mtime, Version: 1, DataLength: 4})
	exists, seen, err := c.Exists(path)
	e.ok(err)
	e.equal(exists, true)
	e.equal(seen, after)

	e.make(c, path+"/child")
	_, parent, err := c.Get(path)
	e.ok(err)
	_, child, err := c.Get(path + "/child")
	e.ok(err)
	e.equal([]int64{int64(parent.Cversion), int64(parent.NumChildren), parent.Pzxid}, []int64{1, 1, child.Czxid})
	e.ok(c.Delete(path+"/child", 0))
	e.ok(c.Delete(path, 1))
	e.that(e.gone(c, path), "deleted")
}

func nullIsNotEmpty(e *env) {
	c := e.client()
	for name, data := range map[string][]byte{"null": nil, "empty": {}} {
		path := e.path + "-" + name
		_, err := c.Create(path, data, 0, open)
		e.ok(err)
		got, stat, err := c.Get(path)
		e.ok(err)
		e.equal(got == nil, data == nil)
		e.equal(stat.DataLength, int32(0))
	}
}

func largeData(e *env) {
	c := e.client()
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	_, err := c.Create(e.path, data, 0, open)
	e.ok(err)
	got, _, err := c.Get(e.path)
	e.ok(err)
	e.that(bytes.Equal(got, data), "a million bytes come back")

	before := c.SessionID()
	_, err = c.Set(e.path, bytes.Repeat([]byte("x"), 1_100_000), -1)
	e.is(err, zk.ErrConnectionClosed)
	e.eventually("the session again", func() bool { return c.states.count(zk.StateHasSession) == 2 })
	e.equal(c.SessionID(), before)
	_, stat, err := c.Get(e.path)
	e.ok(err)
	e.equal(stat.Version, int32(0))
}

func errorsOfNodes(e *env) {
	c := e.client()
	path := e.path
	_, _, err := c.Get(path)
	e.is(err, zk.ErrNoNode)
	_, err = c.Set(path, nil, -1)
	e.is(err, zk.ErrNoNode)
	e.is(c.Delete(path, -1), zk.ErrNoNode)
	_, _, err = c.Children(path)
	e.is(err, zk.ErrNoNode)
	_, _, err = c.GetACL(path)
	e.is(err, zk.ErrNoNode)
	_, err = c.SetACL(path, open, -1)
	e.is(err, zk.ErrNoNode)
	_, _, _, err = c.GetW(path)
	e.is(err, zk.ErrNoNode)
	_, err = c.Create(path+"/x", nil, 0, open)
	e.is(err, zk.ErrNoNode)

	e.make(c, path)
	_, err = c.Create(path, nil, 0, open)
	e.is(err, zk.ErrNodeExists)
	_, err = c.Create("/", nil, 0, open)
	e.is(err, zk.ErrNodeExists)
	_, err = c.Set(path, nil, 1)
	e.is(err, zk.ErrBadVersion)
	e.is(c.Delete(path, 1), zk.ErrBadVersion)
	e.make(c, path+"/x")
	e.is(c.Delete(path, -1), zk.ErrNotEmpty)
	e.is(c.Delete("/", -1), zk.ErrBadArguments)
	_, err = c.Create(path+"/e", nil, zk.FlagEphemeral, open)
	e.ok(err)
	_, err = c.Create(path+"/e/x", nil, 0, open)
	e.is(err, zk.ErrNoChildrenForEphemerals)
	_, err = c.Create(path+"/y", nil, 0, nil)
	e.is(err, zk.ErrInvalidACL)
	_, err = c.Create(path+"/y", nil, 0, []zk.ACL{{Perms: zk.PermAll, Scheme: "nonsense", ID: "x"}})
	e.is(err, zk.ErrInvalidACL)
}

func createFlags(e *env) {
	c := e.client()
	e.make(c, e.path)
	for number, flag := range []int32{zk.FlagSequence, zk.FlagEphemeralSequential, zk.FlagSequence} {
		path, err := c.Create(e.path+"/s-", nil, flag, open)
		e.ok(err)
		e.equal(path, fmt.Sprintf("%s/s-%010d", e.path, number))
		_, stat, err := c.Get(path)
		e.ok(err)
		e.equal(stat.EphemeralOwner != 0, flag == zk.FlagEphemeralSequential)
	}
	_, err := c.Create(e.path+"/e", nil, zk.FlagEphemeral, open)
	e.ok(err)
	_, stat, err := c.Get(e.path + "/e")
	e.ok(err)
	e.equal(stat.EphemeralOwner, c.SessionID())
	_, err = c.Create(e.path+"/", nil, zk.FlagSequence, open)
	e.ok(err)
	// Mode 4 through the plain create operation, which the server takes as well.
	_, err = c.Create(e.path+"/c", nil, zk.FlagContainer, open)
	e.ok(err)
}

func protectedSequential(e *env) {
	c := e.client()
	e.make(c, e.path)
	for number := 0; number < 3; number++ {
		path, err := c.CreateProtectedEphemeralSequential(e.path+"/lock-", []byte("x"), open)
		e.ok(err)
		want := regexp.MustCompile(fmt.Sprintf(`^%s/_c_[0-9a-f]{32}-lock-%010d$`, e.path, number))
		e.that(want.MatchString(path), path+" is a protected name")
		_, stat, err := c.Get(path)
		e.ok(err)
		e.equal(stat.EphemeralOwner, c.SessionID())
	}
}

func containers(e *env) {
	c := e.client()
	path, err := c.CreateContainer(e.path, []byte("c"), zk.FlagContainer, open)
	e.ok(err)
	e.equal(path, e.path)
	data, stat, err := c.Get(path)
	e.ok(err)
	e.equal(data, []byte("c"))
	e.equal(stat.EphemeralOwner, int64(0))
	_, err = c.CreateContainer(e.path, nil, zk.FlagContainer, open)
	e.is(err, zk.ErrNodeExists)
	e.make(c, path+"/child")
	e.ok(c.Delete(path+"/child", -1))
	e.eventually("an emptied container is removed", func() bool { return e.gone(c, path) })
}

func ttl(e *env) {
	c := e.client()
	e.make(c, e.path)
	path, err := c.CreateTTL(e.path+"/short", []byte("t"), zk.FlagTTL, open, 400*time.Millisecond)
	e.ok(err)
	e.equal(path, e.path+"/short")
	long, err := c.CreateTTL(e.path+"/long-", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour)
	e.ok(err)
	e.equal(long, e.path+"/long-0000000001")
	_, stat, err := c.Get(long)
	e.ok(err)
	e.equal(stat.EphemeralOwner, int64(0))
	_, err = c.CreateTTL(e.path+"/bad", nil, zk.FlagTTL, open, -time.Second)
	e.is(err, zk.ErrBadArguments)
	e.eventually("a node is removed after its TTL", func() bool { return e.gone(c, path) })
	e.that(!e.gone(c, long), "the longer one stays")
}

func children(e *env) {
	c := e.client()
	e.make(c, e.path)
	var want []string
	for number := 0; number < 40; number++ {
		name := fmt.Sprintf("c%02d", number)
		want = append(want, name)
		e.make(c, e.path+"/"+name)
	}
	names, stat, err := c.Children(e.path)
	e.ok(err)
	sort.Strings(names)
	e.equal(names, want)
	e.equal([]int32{stat.NumChildren, stat.Cversion}, []int32{40, 40})
	names, _, err = c.Children(e.path + "/c00")
	e.ok(err)
	e.equal(len(names), 0)
}

func manyAtOnce(e *env) {
	c := e.client()
	e.make(c, e.path)
	const writers, each = 20, 25
	e.together(writers, func(i int) error {
		for number := 0; number < each; number++ {
			path, err := c.Create(e.path+"/n-", []byte{byte(i)}, zk.FlagSequence, open)
			if err != nil {
				return err
			}
			data, _, err := c.Get(path)
			if err != nil || len(data) != 1 || data[0] != byte(i) {
				return fmt.Errorf("%s: %v %v", path, data, err)
			}
		}
		return nil
	})
	names, _, err := c.Children(e.path)
	e.ok(err)
	sort.Strings(names)
	e.equal(len(names), writers*each)
	e.equal(names[len(names)-1], fmt.Sprintf("n-%010d", writers*each-1))
}

func syncs(e *env) {
	writer, reader := e.client(), e.client()
	e.make(writer, e.path)
	for number := 0; number < 50; number++ {
		_, err := writer.Set(e.path, []byte{byte(number)}, -1)
		e.ok(err)
		path, err := reader.Sync(e.path)
		e.ok(err)
		e.equal(path, e.path)
		data, _, err := reader.Get(e.path)
		e.ok(err)
		e.equal(data, []byte{byte(number)})
	}
}

func acls(e *env) {
	owner, stranger := e.client(), e.client()
	_, err := owner.Create(e.path, nil, 0, zk.AuthACL(zk.PermAll))
	e.is(err, zk.ErrInvalidACL)
	e.ok(owner.AddAuth("digest", []byte("ann:secret")))
	_, err = owner.Create(e.path, []byte("s"), 0, zk.AuthACL(zk.PermAll))
	e.ok(err)
	acl, stat, err := owner.GetACL(e.path)
	e.ok(err)
	e.equal(acl, zk.DigestACL(zk.PermAll, "ann", "secret"))
	e.equal(stat.Aversion, int32(0))

	_, _, err = stranger.Get(e.path)
	e.is(err, zk.ErrNoAuth)
	_, _, err = stranger.GetACL(e.path)
	e.is(err, zk.ErrNoAuth)
	_, err = stranger.SetACL(e.path, open, -1)
	e.is(err, zk.ErrNoAuth)
	_, err = stranger.Create(e.path+"/x", nil, 0, open)
	e.is(err, zk.ErrNoAuth)
	e.ok(stranger.AddAuth("digest", []byte("bob:other")))
	_, _, err = stranger.Get(e.path)
	e.is(err, zk.ErrNoAuth)

	_, err = owner.SetACL(e.path, open, 5)
	e.is(err, zk.ErrBadVersion)
	mixed := append(zk.DigestACL(zk.PermAll, "ann", "secret"), zk.DigestACL(zk.PermRead|zk.PermWrite, "bob", "other")...)
	stat, err = owner.SetACL(e.path, mixed, 0)
	e.ok(err)
	e.equal(stat.Aversion, int32(1))
	_, err = stranger.Set(e.path, []byte("by bob"), -1)
	e.ok(err)
	_, err = stranger.Create(e.path+"/x", nil, 0, open)
	e.is(err, zk.ErrNoAuth)
	// Who may not administer sees the names, but no hash.
	acl, _, err = stranger.GetACL(e.path)
	e.ok(err)
	e.equal(acl, []zk.ACL{{Perms: zk.PermAll, Scheme: "digest", ID: "ann:x"},
		{Perms: zk.PermRead | zk.PermWrite, Scheme: "digest", ID: "bob:x"}})
}

func authFails(e *env) {
	c := e.client()
	err := c.AddAuth("nonsense", []byte("x"))
	e.that(errors.Is(err, zk.ErrAuthFailed) || errors.Is(err, zk.ErrConnectionClosed), fmt.Sprint("auth failed: ", err))
	e.eventually("disconnected", func() bool { return c.states.count(zk.StateDisconnected) > 0 })
}

func multiCommitsAsOne(e *env) {
	c := e.client()
	e.make(c, e.path)
	e.make(c, e.path+"/old")
	results, err := c.Multi(
		&zk.CheckVersionRequest{Path: e.path, Version: 0},
		&zk.CreateRequest{Path: e.path + "/a", Data: []byte("a"), Acl: open, Flags: zk.FlagEphemeral},
		&zk.CreateRequest{Path: e.path + "/s-", Acl: open, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: e.path, Data: []byte("set"), Version: 0},
		&zk.DeleteRequest{Path: e.path + "/old", Version: -1},
	)
	e.ok(err)
	e.equal(len(results), 5)
	for _, result := range results {
		e.ok(result.Error)
	}
	e.equal([]string{results[1].String, results[2].String}, []string{e.path + "/a", e.path + "/s-0000000002"})
	e.equal(results[3].Stat.Version, int32(1))
	_, stat, err := c.Get(e.path + "/a")
	e.ok(err)
	e.equal([]int64{stat.Czxid, stat.EphemeralOwner}, []int64{results[3].Stat.Mzxid, c.SessionID()})
	e.that(e.gone(c, e.path+"/old"), "deleted")
	results, err = c.Multi()
	e.ok(err)
	e.equal(len(results), 0)
}

func multiFailsAsOne(e *env) {
	c := e.client()
	e.make(c, e.path)
	results, err := c.Multi(
		&zk.CreateRequest{Path: e.path + "/a", Acl: open},
		&zk.CheckVersionRequest{Path: e.path, Version: 9},
		&zk.DeleteRequest{Path: e.path + "/a", Version: -1},
	)
	e.is(err, zk.ErrBadVersion)
	e.equal(len(results), 3)
	e.is(results[0].Error, nil)
	e.is(results[1].Error, zk.ErrBadVersion)
	e.that(strings.Contains(fmt.Sprint(results[2].Error), "-2"), "what comes after the failure says -2")
	e.that(e.gone(c, e.path+"/a"), "nothing was created")
	for _, one := range []struct {
		operation interface{}
		err       error
	}{
		{&zk.CreateRequest{Path: e.path, Acl: open}, zk.ErrNodeExists},
		{&zk.CreateRequest{Path: e.path + "/x/y", Acl: open}, zk.ErrNoNode},
		{&zk.DeleteRequest{Path: e.path, Version: 4}, zk.ErrBadVersion},
		{&zk.SetDataRequest{Path: e.path + "/x", Version: -1}, zk.ErrNoNode},
		{&zk.CheckVersionRequest{Path: e.path + "/x", Version: 0}, zk.ErrNoNode},
	} {
		_, err := c.Multi(one.operation)
		e.is(err, one.err)
	}
}

func members(e *env) {
	c := e.client()
	data, _, err := c.Get("/zookeeper/config")
	e.ok(err)
	e.equal(len(data), 0)
	_, err = c.IncrementalReconfig([]string{"server.9=127.0.0.1:1:2;3"}, nil, -1)
	e.is(err, zk.ErrReconfigDisabled)
	_, err = c.IncrementalReconfig(nil, []string{"9"}, -1)
	e.is(err, zk.ErrReconfigDisabled)
	_, err = c.Reconfig([]string{"server.9=127.0.0.1:1:2;3"}, -1)
	e.is(err, zk.ErrReconfigDisabled)
}

func fourLetterWords(e *env) {
	c := e.connect(7 * time.Second)
	e.make(c, e.path)
	servers := []string{e.server.address}
	e.equal(zk.FLWRuok(servers, 5*time.Second), []bool{true})

	// The library refuses the whole answer for the asking connection's own line, which has no session, but reads the rest.
	clients, _ := zk.FLWCons(servers, 5*time.Second)
	e.equal(len(clients), 1)
	var mine *zk.ServerClient
	for _, one := range clients[0].Clients {
		if one.SessionID == c.SessionID() {
			mine = one
		}
	}
	e.that(mine != nil, "my connection is listed in cons")
	e.equal(mine.Timeout, int32(7000))
	e.equal(mine.Addr, c.line.conn.LocalAddr().String())
	e.equal(mine.LastOperation, "CREA")
	e.that(mine.Received >= 2 && mine.Sent >= 2 && mine.Lzxid > 0, fmt.Sprintf("counts in %+v", *mine))

	// FLWSrvr knows only the build date of old servers (day first); 3.9 writes it year first.
	stats, ok := zk.FLWSrvr(servers, 5*time.Second)
	e.equal([]interface{}{len(stats), ok}, []interface{}{1, false})
	srvr := word(e, "srvr")
	e.that(regexp.MustCompile(`\AZookeeper version: 3\.9\.5[^,\n]*, built on \d{4}-\d\d-\d\d \d\d:\d\d UTC\n`+
		`Latency min/avg/max: \d+/\d+(\.\d+)?/\d+\nReceived: \d+\nSent: \d+\nConnections: \d+\nOutstanding: \d+\n`+
		`Zxid: 0x[0-9a-f]+\nMode: standalone\nNode count: \d+\n\z`).MatchString(srvr), "srvr says "+srvr)

	mntr := map[string]string{}
	for _, one := range strings.Split(strings.TrimSpace(word(e, "mntr")), "\n") {
		key, value, found := strings.Cut(one, "\t")
		e.that(found, "a tab in "+one)
		mntr[key] = value
	}
	e.equal(mntr["zk_server_state"], "standalone")
	for _, key := range []string{"zk_version", "zk_znode_count", "zk_watch_count", "zk_ephemerals_count", "zk_packets_sent",
		"zk_packets_received", "zk_num_alive_connections", "zk_outstanding_requests", "zk_avg_latency",
		"zk_approximate_data_size", "zk_open_file_descriptor_count"} {
		e.that(mntr[key] != "", key+" in mntr")
	}
	e.equal(word(e, "isro"), "rw")
}

func word(e *env, command string) string {
	conn, err := net.DialTimeout("tcp", e.server.address, 5*time.Second)
	e.ok(err)
	defer conn.Close()
	e.ok(conn.SetDeadline(time.Now().Add(5 * time.Second)))
	_, err = conn.Write([]byte(command))
	e.ok(err)
	text, err := io.ReadAll(conn)
	e.ok(err)
	return string(text)
}
