package main

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

func lockContested(e *env) {
	// A read and a write without a version, so that only the lock keeps increments from getting lost.
	const workers, each = 8, 5
	first := e.client()
	_, err := first.Create(e.path, []byte("0"), 0, open)
	e.ok(err)
	var conns []*client
	for i := 0; i < workers; i++ {
		conns = append(conns, e.client())
	}
	var inside atomic.Int32
	e.together(workers, func(i int) error {
		lock := zk.NewLock(conns[i].Conn, e.path+"/lock", open)
		for turn := 0; turn < each; turn++ {
			if err := lock.Lock(); err != nil {
				return err
			}
			if n := inside.Add(1); n != 1 {
				return fmt.Errorf("%d inside at once", n)
			}
			data, _, err := conns[i].Get(e.path)
			if err != nil {
				return err
			}
			value, err := strconv.Atoi(string(data))
			if err != nil {
				return err
			}
			if _, err := conns[i].Set(e.path, []byte(strconv.Itoa(value+1)), -1); err != nil {
				return err
			}
			inside.Add(-1)
			if err := lock.Unlock(); err != nil {
				return err
			}
		}
		return nil
	})
	data, _, err := first.Get(e.path)
	e.ok(err)
	e.equal(string(data), strconv.Itoa(workers*each))
}

func lockCalls(e *env) {
	c := e.client()
	lock := zk.NewLock(c.Conn, e.path+"/deep/lock", open)
	e.is(lock.Unlock(), zk.ErrNotLocked)
	e.ok(lock.LockWithData([]byte("who I am")))
	e.is(lock.Lock(), zk.ErrDeadlock)
	names, _, err := c.Children(e.path + "/deep/lock")
	e.ok(err)
	e.equal(len(names), 1)
	data, _, err := c.Get(e.path + "/deep/lock/" + names[0])
	e.ok(err)
	e.equal(data, []byte("who I am"))
	e.ok(lock.Unlock())
	e.ok(lock.Lock())
	e.ok(lock.Unlock())
}

func lockOfAnEndedSession(e *env) {
	one, two := e.client(), e.client()
	e.ok(zk.NewLock(one.Conn, e.path, open).Lock())
	second := zk.NewLock(two.Conn, e.path, open)
	got := make(chan error, 1)
	go func() { got <- second.Lock() }()
	e.eventually("two in line", func() bool {
		names, _, err := two.Children(e.path)
		e.ok(err)
		return len(names) == 2
	})
	one.Close()
	e.ok(<-got)
	e.ok(second.Unlock())
}
