package zooid.interop;

import static zooid.interop.Curators.open;
import static zooid.interop.Suite.eq;
import static zooid.interop.Suite.that;
import static zooid.interop.Suite.until;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.details.ServiceCacheListener;
import org.apache.curator.x.discovery.strategies.RoundRobinStrategy;
import org.apache.curator.x.discovery.strategies.StickyStrategy;

/** Service discovery. */
final class Discovery {
    static void add(Suite suite, Server server) {
        suite.check("discovery_register_query_unregister", server, Discovery::register);
        suite.check("discovery_update", server, Discovery::update);
        suite.check("discovery_provider", server, Discovery::provider);
        suite.check("discovery_cache", server, Discovery::cache);
        suite.check("discovery_registers_again_after_expiry", server, Discovery::expiry);
        suite.check("discovery_permanent_service", server, Discovery::permanent);
    }

    private static ServiceInstance<String> instance(int port, ServiceType type) throws Exception {
        return ServiceInstance.<String>builder().name("web").id("i" + port).address("10.0.0.1").port(port)
                .payload("payload" + port).serviceType(type).build();
    }

    private static ServiceDiscovery<String> discovery(Ctx ctx, CuratorFramework client,
            ServiceInstance<String> instance) throws Exception {
        ServiceDiscovery<String> discovery = ctx.keep(ServiceDiscoveryBuilder.builder(String.class).client(client)
                .basePath(ctx.path).thisInstance(instance).build());
        discovery.start();
        return discovery;
    }

    private static void register(Ctx ctx) throws Exception {
        ServiceDiscovery<String> reader = discovery(ctx, open(ctx), null);
        eq("nothing", 0, reader.queryForInstances("web").size());
        ServiceInstance<String> one = instance(1, ServiceType.DYNAMIC);
        ServiceDiscovery<String> first = discovery(ctx, open(ctx), one);
        ServiceDiscovery<String> second = discovery(ctx, open(ctx), instance(2, ServiceType.DYNAMIC));
        eq("names", List.of("web"), List.copyOf(reader.queryForNames()));
        eq("instances", 2, reader.queryForInstances("web").size());
        ServiceInstance<String> read = reader.queryForInstance("web", "i1");
        eq("instance", one, read);
        eq("payload", "payload1", read.getPayload());
        first.unregisterService(one);
        eq("left", List.of("i2"), reader.queryForInstances("web").stream().map(ServiceInstance::getId).toList());
        second.close();
        eq("nothing left", 0, reader.queryForInstances("web").size());
    }

    private static void update(Ctx ctx) throws Exception {
        ServiceDiscovery<String> owner = discovery(ctx, open(ctx), instance(1, ServiceType.DYNAMIC));
        ServiceDiscovery<String> reader = discovery(ctx, open(ctx), null);
        owner.updateService(ServiceInstance.<String>builder().name("web").id("i1").port(7).payload("new")
                .serviceType(ServiceType.DYNAMIC).build());
        ServiceInstance<String> read = reader.queryForInstance("web", "i1");
        eq("updated", List.of("new", 7), List.of(read.getPayload(), read.getPort()));
    }

    private static void provider(Ctx ctx) throws Exception {
        ServiceDiscovery<String> reader = discovery(ctx, open(ctx), null);
        CuratorFramework third = open(ctx);
        discovery(ctx, open(ctx), instance(1, ServiceType.DYNAMIC));
        discovery(ctx, open(ctx), instance(2, ServiceType.DYNAMIC));
        discovery(ctx, third, instance(3, ServiceType.DYNAMIC));
        ServiceProvider<String> robin = ctx.keep(reader.serviceProviderBuilder().serviceName("web")
                .providerStrategy(new RoundRobinStrategy<>()).build());
        ServiceProvider<String> sticky = ctx.keep(reader.serviceProviderBuilder().serviceName("web")
                .providerStrategy(new StickyStrategy<>(new RoundRobinStrategy<>())).build());
        robin.start();
        sticky.start();
        until("all instances", () -> robin.getAllInstances().size() == 3 && sticky.getAllInstances().size() == 3);
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < 3; i++) {
            seen.add(robin.getInstance().getId());
        }
        eq("each in turn", Set.of("i1", "i2", "i3"), seen);
        String id = sticky.getInstance().getId();
        eq("the same again", id, sticky.getInstance().getId());
        third.close();
        until("two instances", () -> robin.getAllInstances().size() == 2);
        that("not the dead one", !robin.getInstance().getId().equals("i3"));
    }

    private static void cache(Ctx ctx) throws Exception {
        ServiceDiscovery<String> reader = discovery(ctx, open(ctx), null);
        ServiceCache<String> cache = ctx.keep(reader.serviceCacheBuilder().name("web").build());
        AtomicInteger changes = new AtomicInteger();
        cache.addListener(new ServiceCacheListener() {
            @Override
            public void cacheChanged() {
                changes.incrementAndGet();
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        });
        cache.start();
        CuratorFramework owner = open(ctx);
        ServiceDiscovery<String> service = discovery(ctx, owner, instance(1, ServiceType.DYNAMIC));
        until("seen", () -> cache.getInstances().size() == 1 && changes.get() >= 1);
        service.registerService(instance(2, ServiceType.DYNAMIC));
        until("seen", () -> cache.getInstances().size() == 2 && changes.get() >= 2);
        owner.close();
        until("gone with the session", () -> cache.getInstances().isEmpty());
    }

    private static void expiry(Ctx ctx) throws Exception {
        CuratorFramework owner = open(ctx);
        discovery(ctx, owner, instance(1, ServiceType.DYNAMIC));
        CuratorFramework other = open(ctx);
        ServiceDiscovery<String> reader = discovery(ctx, other, null);
        long session = Curators.session(owner);
        Curators.expire(ctx, owner);
        String path = ctx.path + "/web/i1";
        until("registered by the new session", () -> other.checkExists().forPath(path) != null
                && other.checkExists().forPath(path).getEphemeralOwner() != session);
        eq("instances", 1, reader.queryForInstances("web").size());
    }

    private static void permanent(Ctx ctx) throws Exception {
        CuratorFramework owner = open(ctx);
        ServiceDiscovery<String> service = discovery(ctx, owner, null);
        service.registerService(instance(1, ServiceType.PERMANENT));
        owner.close();
        eq("stays", 1, discovery(ctx, open(ctx), null).queryForInstances("web").size());
    }
}
