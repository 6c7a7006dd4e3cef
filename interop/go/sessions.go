package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

func watches(e *env) {
	c, other := e.client(), e.client()
	path, child := e.path, e.path+"/child"

	exists, _, events, err := c.ExistsW(path)
	e.ok(err)
	e.equal(exists, false)
	e.make(other, path)
	e.expect(events, zk.EventNodeCreated, path)

	_, _, events, err = c.GetW(path)
	e.ok(err)
	_, err = other.Set(path, []byte("1"), -1)
	e.ok(err)
	e.expect(events, zk.EventNodeDataChanged, path)

	exists, _, events, err = c.ExistsW(path)
	e.ok(err)
	e.equal(exists, true)
	_, err = c.Set(path, []byte("my own change"), -1)
	e.ok(err)
	e.expect(events, zk.EventNodeDataChanged, path)

	names, _, events, err := c.ChildrenW(path)
	e.ok(err)
	e.equal(len(names), 0)
	e.make(other, child)
	e.expect(events, zk.EventNodeChildrenChanged, path)
	_, _, list, err := c.ChildrenW(path)
	e.ok(err)
	_, _, data, err := c.GetW(child)
	e.ok(err)
	_, _, ofChild, err := c.ChildrenW(child)
	e.ok(err)
	_, err = other.SetACL(child, open, -1)
	e.ok(err)
	e.nothing(c, list)
	e.nothing(c, data)
	e.ok(other.Delete(child, -1))
	e.expect(data, zk.EventNodeDeleted, child)
	e.expect(ofChild, zk.EventNodeDeleted, child)
	e.expect(list, zk.EventNodeChildrenChanged, path)

	_, _, events, err = c.GetW(path)
	e.ok(err)
	_, err = other.Multi(&zk.SetDataRequest{Path: path, Version: -1}, &zk.CheckVersionRequest{Path: path, Version: 77})
	e.is(err, zk.ErrBadVersion)
	e.nothing(c, events)
	_, err = other.Multi(&zk.SetDataRequest{Path: path, Version: -1})
	e.ok(err)
	e.expect(events, zk.EventNodeDataChanged, path)
}

func manyWatchers(e *env) {
	first := e.client()
	e.make(first, e.path)
	var all []<-chan zk.Event
	for i := 0; i < 10; i++ {
		_, _, events, err := e.client().GetW(e.path)
		e.ok(err)
		all = append(all, events)
	}
	_, err := first.Set(e.path, nil, -1)
	e.ok(err)
	for _, events := range all {
		e.expect(events, zk.EventNodeDataChanged, e.path)
	}
}

// reconnected waits until the client has its session for the nth time.
func (e *env) reconnected(c *client, n int) {
	end := time.Now().Add(waitDeadline)
	for c.states.count(zk.StateHasSession) != n {
		if time.Now().After(end) {
			e.fail("session number %d not in %v; states: %v", n, waitDeadline, c.states.all())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func watchesOverACutLine(e *env) {
	c, other := e.client(), e.client()
	session := c.SessionID()
	names := []string{"changed", "deleted", "parent", "quiet", "later"}
	e.make(c, e.path)
	watch := map[string]<-chan zk.Event{}
	for _, name := range names {
		path := e.path + "/" + name
		e.make(c, path)
		var err error
		_, _, watch[name], err = c.GetW(path)
		e.ok(err)
	}
	var err error
	_, _, watch["created"], err = c.ExistsW(e.path + "/created")
	e.ok(err)
	_, _, watch["never"], err = c.ExistsW(e.path + "/never")
	e.ok(err)
	_, _, watch["list"], err = c.ChildrenW(e.path + "/parent")
	e.ok(err)

	c.line.cut()
	e.eventually("disconnected", func() bool { return c.State() != zk.StateHasSession })
	_, err = other.Set(e.path+"/changed", nil, -1)
	e.ok(err)
	e.ok(other.Delete(e.path+"/deleted", -1))
	e.make(other, e.path+"/created")
	e.make(other, e.path+"/parent/new")
	c.line.setShut(false)

	// Told at the reconnect, because they happened while the client was away.
	e.expect(watch["changed"], zk.EventNodeDataChanged, e.path+"/changed")
	e.expect(watch["deleted"], zk.EventNodeDeleted, e.path+"/deleted")
	e.expect(watch["created"], zk.EventNodeCreated, e.path+"/created")
	e.expect(watch["list"], zk.EventNodeChildrenChanged, e.path+"/parent")
	e.equal(c.SessionID(), session)
	e.nothing(c, watch["quiet"])
	e.nothing(c, watch["never"])
	e.nothing(c, watch["parent"])
	// Set again by the reconnect.
	_, err = other.Set(e.path+"/later", nil, -1)
	e.ok(err)
	e.expect(watch["later"], zk.EventNodeDataChanged, e.path+"/later")
	e.make(other, e.path+"/never")
	e.expect(watch["never"], zk.EventNodeCreated, e.path+"/never")
}

func thousandsOfWatches(e *env) {
	c, other := e.client(), e.client()
	// Long names, so that the library needs more than one SetWatches request (128 KiB each).
	const count = 2000
	name := func(i int) string { return fmt.Sprintf("%s/%s-%04d", e.path, strings.Repeat("x", 100), i) }
	e.make(c, e.path)
	all := make([]<-chan zk.Event, count)
	e.together(20, func(worker int) error {
		for i := worker; i < count; i += 20 {
			var err error
			if _, _, all[i], err = c.ExistsW(name(i)); err != nil {
				return err
			}
		}
		return nil
	})
	c.line.cut()
	e.eventually("disconnected", func() bool { return c.State() != zk.StateHasSession })
	c.line.setShut(false)
	e.reconnected(c, 2)
	e.together(20, func(worker int) error {
		for i := worker; i < count; i += 20 {
			if _, err := other.Create(name(i), nil, 0, open); err != nil {
				return err
			}
		}
		return nil
	})
	for i, events := range all {
		e.expect(events, zk.EventNodeCreated, name(i))
	}
}

func authIsSentAgain(e *env) {
	c := e.client()
	e.ok(c.AddAuth("digest", []byte("ann:secret")))
	_, err := c.Create(e.path, []byte("s"), 0, zk.AuthACL(zk.PermAll))
	e.ok(err)
	c.line.cut()
	c.line.setShut(false)
	e.reconnected(c, 2)
	data, _, err := c.Get(e.path)
	e.ok(err)
	e.equal(data, []byte("s"))
}

func closeEndsEphemerals(e *env) {
	c, other := e.client(), e.client()
	e.make(other, e.path)
	for i := 0; i < 10; i++ {
		_, err := c.Create(e.path+"/e-", nil, zk.FlagEphemeralSequential, open)
		e.ok(err)
	}
	_, _, events, err := other.ChildrenW(e.path)
	e.ok(err)
	c.Close()
	e.expect(events, zk.EventNodeChildrenChanged, e.path)
	e.eventually("all ephemerals are gone", func() bool {
		names, _, err := other.Children(e.path)
		e.ok(err)
		return len(names) == 0
	})
	_, _, err = c.Get(e.path)
	e.is(err, zk.ErrConnectionClosed)
}

func sessionExpires(e *env) {
	c, other := e.connect(4*time.Second), e.client()
	_, err := c.Create(e.path, nil, zk.FlagEphemeral, open)
	e.ok(err)
	_, _, watch, err := c.GetW("/")
	e.ok(err)
	_, _, gone, err := other.GetW(e.path)
	e.ok(err)
	before := c.SessionID()
	c.line.cut()
	cut := time.Now()
	e.expect(gone, zk.EventNodeDeleted, e.path)
	// The last word from the client may be a third of the timeout old; expiry comes in steps of a tick (2 s).
	lived := time.Since(cut)
	e.that(lived > 2500*time.Millisecond && lived < 8*time.Second, fmt.Sprint("expired after ", lived))
	c.line.setShut(false)
	e.reconnected(c, 2)
	e.equal(c.states.count(zk.StateExpired), 1)
	e.that(c.SessionID() != before, "a new session")
	event := <-watch
	e.equal([]interface{}{event.Type, event.Err}, []interface{}{zk.EventNotWatching, zk.ErrSessionExpired})
	_, err = c.Create(e.path, nil, zk.FlagEphemeral, open)
	e.ok(err)
}

func killedServerComesBack(e *env) {
	e.ownServer()
	c, other := e.client(), e.client()
	session := c.SessionID()
	_, err := c.Create("/e", []byte("mine"), zk.FlagEphemeral, open)
	e.ok(err)
	e.make(c, "/q")
	for i := 0; i < 50; i++ {
		_, err := c.Create("/q/n-", nil, zk.FlagSequence, open)
		e.ok(err)
	}
	_, err = c.CreateContainer("/container", nil, zk.FlagContainer, open)
	e.ok(err)
	_, err = c.CreateTTL("/ttl", nil, zk.FlagTTL, open, time.Hour)
	e.ok(err)
	stats := map[string]*zk.Stat{}
	for _, path := range []string{"/e", "/q", "/container", "/ttl"} {
		_, stats[path], err = c.Get(path)
		e.ok(err)
	}
	_, _, events, err := c.GetW("/e")
	e.ok(err)

	e.killAndStart(c, other)
	e.reconnected(c, 2)
	e.reconnected(other, 2)
	e.equal(c.SessionID(), session)
	for path, want := range stats {
		_, stat, err := c.Get(path)
		e.ok(err)
		e.equal(stat, want)
	}
	path, err := c.Create("/q/n-", nil, zk.FlagSequence, open)
	e.ok(err)
	e.equal(path, "/q/n-0000000050")
	_, err = other.Set("/e", []byte("changed"), -1)
	e.ok(err)
	e.expect(events, zk.EventNodeDataChanged, "/e")
	c.Close()
	e.eventually("the ephemeral ends with its session", func() bool { return e.gone(other, "/e") })
}

// Creates with the server killed under them: each call gives one node or an error, never two nodes.
func protectedOverKilledServer(e *env) {
	e.ownServer()
	c := e.client()
	e.make(c, "/p")
	var made atomic.Int32
	stop := make(chan struct{})
	paths := make(chan []string, 4)
	for worker := 0; worker < 4; worker++ {
		go func() {
			var mine []string
			for {
				select {
				case <-stop:
					paths <- mine
					return
				default:
				}
				if path, err := c.CreateProtectedEphemeralSequential("/p/n-", nil, open); err == nil {
					mine = append(mine, path)
					made.Add(1)
				}
			}
		}()
	}
	for round := 1; round <= 2; round++ {
		before := made.Load()
		e.eventually("some more are made", func() bool { return made.Load() >= before+50 })
		e.killAndStart(c)
		e.reconnected(c, round+1)
	}
	close(stop)
	acknowledged := map[string]bool{}
	for worker := 0; worker < 4; worker++ {
		for _, path := range <-paths {
			e.that(!acknowledged[path], "given once: "+path)
			acknowledged[path] = true
		}
	}
	names, _, err := c.Children("/p")
	e.ok(err)
	present := map[string]bool{}
	for _, name := range names {
		present["/p/"+name] = true
	}
	for path := range acknowledged {
		e.that(present[path], "acknowledged and there: "+path)
	}
}
