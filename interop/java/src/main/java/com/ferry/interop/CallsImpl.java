package com.ferry.interop;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.dubbo.rpc.RpcContext;

/** The provider's side of Calls. */
final class CallsImpl implements Calls {
    private static final Set<String> SEEN = ConcurrentHashMap.newKeySet();
    private final String who;
    private final String where;

    CallsImpl(String who, String where) {
        this.who = who;
        this.where = where;
    }

    @Override
    public String overload() {
        return "none";
    }

    @Override
    public String overload(String a) {
        return "String " + a;
    }

    @Override
    public String overload(int a) {
        return "int " + a;
    }

    @Override
    public String overload(Integer a) {
        return "Integer " + a;
    }

    @Override
    public String overload(long a) {
        return "long " + a;
    }

    @Override
    public String overload(List<String> a) {
        return "List " + String.join(",", a);
    }

    @Override
    public String overload(String a, int b) {
        return "String,int " + a + " " + b;
    }

    @Override
    public void nothing() {
    }

    @Override
    public void oneWay(String token) {
        SEEN.add(token);
    }

    @Override
    public boolean oneWaySeen(String token) {
        return SEEN.contains(token);
    }

    @Override
    public byte[] big(byte[] data) {
        return data;
    }

    @Override
    public byte[] make(int size) {
        return new byte[size];
    }

    @Override
    public String attachment(String key) {
        String value = RpcContext.getContext().getAttachment(key);
        RpcContext.getServerContext().setAttachment("reply-" + key, "got " + value);
        return value;
    }

    @Override
    public String where() {
        return where;
    }

    @Override
    public String fail(String kind) throws CheckedException {
        switch (kind) {
            case "checked":
                throw new CheckedException("checked message", 42);
            case "runtime":
                throw new IllegalStateException("runtime message");
            case "custom":
                throw new CustomException("custom message", "more");
            case "undeclared":
                throw new UndeclaredException("undeclared message");
            case "cause":
                throw new IllegalArgumentException("outer", new CheckedException("inner", 7));
            case "empty":
                throw new IllegalStateException();
            default:
                throw new IllegalArgumentException("no kind " + kind);
        }
    }

    @Override
    public String sleep(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return "slept " + millis;
    }

    @Override
    public String nap(int millis) {
        return sleep(millis);
    }

    @Override
    public Person older(Person p, int years) {
        p.setAge(p.getAge() + years);
        return p;
    }

    @Override
    public List<Person> family(List<Person> list, Color color) {
        for (Person p : list) {
            p.setFavourite(color);
        }
        return list;
    }

    @Override
    public CompletableFuture<String> later(String name) {
        return CompletableFuture.supplyAsync(() -> "later " + name);
    }

    @Override
    public String who() {
        return who;
    }

    @Override
    public String whoFor(String key) {
        return who;
    }
}
