import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.retry.ExponentialBackoffRetry;

/**
 * Apache Curator by lines: each names an owner, which is a thread of its own, as Curator's locks belong to threads.
 *
 *   owner acquire mutex|read|write|semaphore path milliseconds     answers: owner acquired | owner timeout
 *   owner release mutex|read|write|semaphore path                  answers: owner released
 *   owner count mutex|write path file times                        answers: owner counted
 *   owner revoke node path                                         answers: owner revoked; who holds that node says: owner asked
 *   owner lead selector path                                       answers: owner leads, when it does, and leads until
 *   owner step selector path                                       answers: owner stepped
 *
 * Whatever fails is answered by: owner failed, and why. The end of the input ends the process.
 */
public final class Peer {
    private static final int PERMITS = 2;
    private static final Map<String, Object> things = new ConcurrentHashMap<>();
    private static final Map<String, ExecutorService> owners = new ConcurrentHashMap<>();
    private static CuratorFramework client;

    public static void main(String[] args) throws Exception {
        client = CuratorFrameworkFactory.builder().connectString(args[0]).sessionTimeoutMs(Integer.parseInt(args[1]))
                .connectionTimeoutMs(5000).retryPolicy(new ExponentialBackoffRetry(20, 10)).build();
        client.start();
        client.blockUntilConnected();
        say("peer ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            owners.computeIfAbsent(words[0], o -> Executors.newSingleThreadExecutor()).submit(() -> {
                try {
                    say(words[0] + " " + answer(words));
                } catch (Throwable t) {
                    say(words[0] + " failed " + t);
                }
            });
        }
        System.exit(0);
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String answer(String[] words) throws Exception {
        String owner = words[0], kind = words[2], path = words[3], held = owner + kind + path;
        switch (words[1]) {
            case "acquire":
                return acquire(owner, kind, path, Long.parseLong(words[4])) ? "acquired" : "timeout";
            case "release":
                release(owner, kind, path);
                return "released";
            case "count":
                count(owner, kind, path, Paths.get(words[4]), Integer.parseInt(words[5]));
                return "counted";
            case "revoke":
                Revoker.attemptRevoke(client, path);
                return "revoked";
            case "lead":
                lead(owner, path).start();
                return "waits";
            case "step":
                ((LeaderSelector) things.remove(held)).close();
                return "stepped";
            default:
                throw new IllegalArgumentException(words[1]);
        }
    }

    private static Object lock(String owner, String kind, String path) {
        if (kind.equals("mutex")) {
            return things.computeIfAbsent(owner + kind + path, k -> {
                InterProcessMutex mutex = new InterProcessMutex(client, path);
                mutex.makeRevocable(m -> say(owner + " asked"));
                return mutex;
            });
        }
        InterProcessReadWriteLock both = (InterProcessReadWriteLock)
                things.computeIfAbsent(owner + "both" + path, k -> new InterProcessReadWriteLock(client, path));
        return kind.equals("read") ? both.readLock() : both.writeLock();
    }

    private static boolean acquire(String owner, String kind, String path, long ms) throws Exception {
        if (!kind.equals("semaphore")) {
            return ((InterProcessMutex) lock(owner, kind, path)).acquire(ms, TimeUnit.MILLISECONDS);
        }
        Lease lease = new InterProcessSemaphoreV2(client, path, PERMITS).acquire(ms, TimeUnit.MILLISECONDS);
        if (lease != null) {
            things.put(owner + kind + path, lease);
        }
        return lease != null;
    }

    private static void release(String owner, String kind, String path) throws Exception {
        if (kind.equals("semaphore")) {
            ((Lease) things.remove(owner + kind + path)).close();
        } else {
            ((InterProcessMutex) lock(owner, kind, path)).release();
        }
    }

    /** Adds one to the number in a file, again and again, in a section that nothing but the lock protects. */
    private static void count(String owner, String kind, String path, Path file, int times) throws Exception {
        for (int i = 0; i < times; i++) {
            acquire(owner, kind, path, 60_000);
            int n = Integer.parseInt(Files.readString(file));
            Thread.yield();
            Files.writeString(file, Integer.toString(n + 1));
            release(owner, kind, path);
        }
    }

    private static LeaderSelector lead(String owner, String path) {
        LeaderSelector selector = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework c) throws Exception {
                say(owner + " leads");
                Thread.sleep(Long.MAX_VALUE);
            }
        });
        selector.setId(owner);
        things.put(owner + "selector" + path, selector);
        return selector;
    }
}
