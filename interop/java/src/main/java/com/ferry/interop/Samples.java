package com.ferry.interop;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Collections;
import java.util.Date;
import java.util.GregorianCalendar;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Supplier;

/** The values that Types exchanges, by method and name. The Go side has the same ones, written down on its own. */
final class Samples {
    private static final Map<String, Map<String, Supplier<Object>>> ALL = new LinkedHashMap<>();

    private static final ThreadLocal<String> DIFFERENCE = new ThreadLocal<>();

    private Samples() {
    }

    private static final Map<String, Supplier<Object>> SENT = new HashMap<>();

    /** What goes out under a sample's name where that differs from what comes in. */
    private static void sends(String method, String sample, Supplier<Object> value) {
        SENT.put(method + " " + sample, value);
    }

    static Object sent(String method, String sample) {
        Supplier<Object> s = SENT.get(method + " " + sample);
        return (s == null ? of(method).get(sample) : s).get();
    }

    private static void add(String method, String sample, Supplier<Object> value) {
        ALL.computeIfAbsent(method, k -> new LinkedHashMap<>()).put(sample, value);
    }

    /** The samples of a method; each get makes a new value. */
    static Map<String, Supplier<Object>> of(String method) {
        return ALL.getOrDefault(method, Collections.emptyMap());
    }

    static {
        scalars();
        texts();
        arrays();
        lists();
        maps();
        classes();
        times();
        anything();
    }

    private static void scalars() {
        add("aBoolean", "true", () -> true);
        add("aBoolean", "false", () -> false);
        add("aByte", "min", () -> Byte.MIN_VALUE);
        add("aByte", "max", () -> Byte.MAX_VALUE);
        add("aShort", "min", () -> Short.MIN_VALUE);
        add("aShort", "max", () -> Short.MAX_VALUE);
        add("aChar", "ascii", () -> 'x');
        add("aChar", "chinese", () -> '中');
        for (int v : new int[] {0, 1, -16, 47, 48, -2048, 2047, 2048, -262144, 262143, 262144, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
            add("anInt", "" + v, () -> v);
        }
        for (long v : new long[] {0, -8, 15, 16, -2048, 2047, -262144, 262143, Integer.MIN_VALUE, Integer.MAX_VALUE, 1L << 31, Long.MIN_VALUE, Long.MAX_VALUE}) {
            add("aLong", "" + v, () -> v);
        }
        add("aFloat", "third", () -> 1f / 3);
        add("aFloat", "max", () -> Float.MAX_VALUE);
        add("aFloat", "tiny", () -> Float.MIN_VALUE);
        add("aDouble", "zero", () -> 0.0);
        add("aDouble", "one", () -> 1.0);
        add("aDouble", "minus", () -> -128.0);
        add("aDouble", "short", () -> 32767.0);
        add("aDouble", "mill", () -> 12.25);
        add("aDouble", "ulp", () -> 65.531);
        add("aDouble", "third", () -> 1.0 / 3);
        add("aDouble", "max", () -> Double.MAX_VALUE);
        add("aDouble", "nan", () -> Double.NaN);
        add("aDouble", "infinite", () -> Double.NEGATIVE_INFINITY);
        add("boxedBoolean", "true", () -> true);
        add("boxedByte", "value", () -> (byte) -1);
        add("boxedShort", "value", () -> (short) -300);
        add("boxedChar", "value", () -> 'y');
        add("boxedInt", "value", () -> 70000);
        add("boxedLong", "value", () -> 7L);
        add("boxedFloat", "value", () -> 1.5f);
        add("boxedDouble", "value", () -> 2.5);
        for (String m : new String[] {"Boolean", "Byte", "Short", "Char", "Int", "Long", "Float", "Double"}) {
            add("boxed" + m, "null", () -> null);
        }
    }

    static String repeat(String s, int n) {
        StringBuilder b = new StringBuilder(s.length() * n);
        for (int i = 0; i < n; i++) {
            b.append(s);
        }
        return b.toString();
    }

    static byte[] blob(int n) {
        byte[] b = new byte[n];
        for (int i = 0; i < n; i++) {
            b[i] = (byte) (i * 31);
        }
        return b;
    }

    private static void texts() {
        add("string", "empty", () -> "");
        add("string", "ascii", () -> "Hello, world");
        add("string", "chinese", () -> "你好，世界");
        add("string", "emoji", () -> "😀 family 👨‍👩‍👧 end");
        add("string", "31", () -> repeat("x", 31));
        add("string", "32", () -> repeat("x", 32));
        add("string", "1024", () -> repeat("y", 1024));
        add("string", "70000", () -> repeat("z", 70000));
        add("string", "70000 mixed", () -> "a" + repeat("😀中é", 17500) + "b");
        add("bytes", "empty", () -> new byte[0]);
        add("bytes", "null", () -> null);
        add("bytes", "15", () -> blob(15));
        add("bytes", "1024", () -> blob(1024));
        add("bytes", "100000", () -> blob(100000));
    }

    private static void arrays() {
        add("booleans", "two", () -> new boolean[] {true, false});
        add("chars", "three", () -> new char[] {'a', '中', 'z'});
        add("chars", "empty", () -> new char[0]);
        add("shorts", "three", () -> new short[] {1, -2, 32767});
        add("ints", "empty", () -> new int[0]);
        add("ints", "null", () -> null);
        add("ints", "ten", () -> new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, -10});
        add("longs", "three", () -> new long[] {1, -2, Long.MAX_VALUE});
        add("floats", "two", () -> new float[] {0.5f, 1f / 3});
        add("doubles", "two", () -> new double[] {0.5, 1.0 / 3});
        add("strings", "empty", () -> new String[0]);
        add("strings", "three", () -> new String[] {"a", "", "中😀"});
        add("objects", "mixed", () -> new Object[] {"a", 1, 2L, 2.5, true, null, mia()});
        add("people", "two and null", () -> new Person[] {mia(), null, tom()});
        add("grid", "ragged", () -> new int[][] {{1}, {}, {2, 3}});
    }

    private static void lists() {
        add("list", "null", () -> null);
        add("list", "empty", () -> new ArrayList<>());
        add("list", "three", () -> new ArrayList<>(Arrays.asList("a", "b", "c")));
        add("list", "nine", () -> new ArrayList<>(Arrays.asList("1", "2", "3", "4", "5", "6", "7", "8", "9")));
        add("list", "Arrays.asList", () -> Arrays.asList("x", "y"));
        add("list", "LinkedList", () -> new LinkedList<>(Arrays.asList("x", "y")));
        add("list", "emptyList", Collections::emptyList);
        add("list", "singletonList", () -> Collections.singletonList("one"));
        add("list", "unmodifiableList", () -> Collections.unmodifiableList(new ArrayList<>(Arrays.asList("u", "v"))));
        add("listOfLongs", "small", () -> new ArrayList<>(Arrays.asList(1L, -8L, 300L, 1L << 40)));
        add("listOfPeople", "two and null", () -> new ArrayList<>(Arrays.asList(mia(), null, tom())));
        add("listOfAnything", "mixed", () -> new ArrayList<>(Arrays.asList("a", 1, 2L, 2.5, true, null, mia(), Color.RED, new Date(1700000000123L))));
        add("listOfAnything", "each type", () -> {
            Map<String, Object> m = new HashMap<>();
            m.put("k", 1L);
            return new ArrayList<>(Arrays.asList(false, "中😀", new byte[] {1, 2}, new BigDecimal("1.50"), BigInteger.valueOf(7),
                UUID.fromString("01020304-0506-0708-090a-0b0c0d0e0f10"), LocalDate.of(2024, 2, 29), LocalTime.of(23, 59, 58, 7),
                LocalDateTime.of(2026, 1, 2, 3, 4, 5, 6), new ArrayList<>(Arrays.asList("x", new ArrayList<>())), m, boss()));
        });
        add("nested", "three", () -> new ArrayList<>(Arrays.asList(new ArrayList<>(Arrays.asList("a")), new ArrayList<>(), null)));
        add("listOfDates", "two", () -> new ArrayList<>(Arrays.asList(new Date(0), new Date(1700000000123L))));
        add("listOfDecimals", "two", () -> new ArrayList<>(Arrays.asList(new BigDecimal("1.50"), new BigDecimal("-0.001"))));
        add("listOfColors", "repeated", () -> new ArrayList<>(Arrays.asList(Color.RED, Color.BLUE, Color.RED)));
        add("collection", "two", () -> new ArrayList<>(Arrays.asList(1, 2)));
        add("set", "empty", () -> new HashSet<>());
        add("set", "three", () -> new HashSet<>(Arrays.asList("a", "b", "c")));
    }

    private static void maps() {
        add("map", "null", () -> null);
        add("map", "empty", () -> new HashMap<>());
        add("map", "two", () -> {
            Map<String, Integer> m = new HashMap<>();
            m.put("a", 1);
            m.put("中", -1);
            return m;
        });
        add("map", "TreeMap", () -> {
            Map<String, Integer> m = new TreeMap<>();
            m.put("t", 1);
            m.put("u", 2);
            return m;
        });
        add("mapOfPeople", "two", () -> {
            Map<Long, Person> m = new HashMap<>();
            m.put(1L, mia());
            m.put(1L << 40, tom());
            return m;
        });
        add("deepMap", "one", () -> {
            Map<String, Long> inner = new HashMap<>();
            inner.put("n", 5L);
            Map<String, List<Map<String, Long>>> m = new HashMap<>();
            m.put("k", new ArrayList<>(Arrays.asList(inner, new HashMap<>())));
            m.put("none", new ArrayList<>());
            return m;
        });
        add("mapByColor", "two", () -> {
            Map<Color, Integer> m = new HashMap<>();
            m.put(Color.RED, 1);
            m.put(Color.BLUE, 2);
            return m;
        });
        add("mapOfAnything", "mixed", () -> {
            Map<Object, Object> m = new HashMap<>();
            m.put("s", null);
            m.put(1, "int");
            m.put(2L, "long");
            m.put(true, new ArrayList<>(Arrays.asList(1, "x")));
            m.put(null, mia());
            return m;
        });
    }

    static Person mia() {
        Person p = new Person("Mia 中😀", 30);
        p.setId(1L << 33);
        p.setFavourite(Color.GREEN);
        p.setTags(new ArrayList<>(Arrays.asList("x", "y")));
        return p;
    }

    static Person tom() {
        return new Person("Tom", -1);
    }

    static Manager boss() {
        Manager m = new Manager();
        m.setName("Boss");
        m.setAge(50);
        m.setTitle("CTO");
        m.setTeam(new ArrayList<>(Arrays.asList(mia(), tom())));
        return m;
    }

    private static Node tree() {
        Node root = new Node();
        root.name = "root";
        root.parent = root;
        root.children = new ArrayList<>();
        for (String name : new String[] {"left", "right"}) {
            Node child = new Node();
            child.name = name;
            child.parent = root;
            root.children.add(child);
        }
        return root;
    }

    private static Everything everything() {
        Everything e = new Everything();
        e.z = true;
        e.b = -1;
        e.s = 300;
        e.c = '中';
        e.i = 70000;
        e.j = 1L << 40;
        e.d = 1.0 / 3;
        e.boxedZ = false;
        e.boxedB = 1;
        e.boxedS = 2;
        e.boxedC = 'y';
        e.boxedI = 3;
        e.boxedJ = 4L;
        e.boxedF = 0.5f;
        e.boxedD = 0.25;
        e.text = "中😀";
        e.bytes = new byte[] {1, -1};
        e.ints = new int[] {1, -1};
        e.grid = new long[][] {{1}, {2, 3}};
        e.strings = new String[] {"a", "b"};
        e.people = new Person[] {mia(), tom()};
        e.list = new ArrayList<>(Arrays.asList("l"));
        e.longs = new ArrayList<>(Arrays.asList(1L, 2L));
        e.set = new HashSet<>(Arrays.asList(1, 2, 3));
        e.map = new HashMap<>();
        e.map.put("k", 1);
        e.byColor = new HashMap<>();
        e.byColor.put(Color.BLUE, 9L);
        e.person = mia();
        e.color = Color.RED;
        e.date = new Date(1700000000123L);
        e.localDate = LocalDate.of(2026, 1, 2);
        e.localTime = LocalTime.of(23, 59, 58, 7);
        e.localDateTime = LocalDateTime.of(2026, 1, 2, 3, 4, 5, 6);
        e.instant = Instant.ofEpochSecond(1700000000L, 123456789);
        e.duration = Duration.ofSeconds(90, 5);
        e.decimal = new BigDecimal("12.30");
        e.big = new BigInteger("-123456789012345678901234567890");
        e.uuid = UUID.fromString("01020304-0506-0708-090a-0b0c0d0e0f10");
        e.any = tom();
        return e;
    }

    private static void classes() {
        add("person", "null", () -> null);
        add("person", "mia", Samples::mia);
        add("person", "sparse", Samples::tom);
        add("manager", "boss", Samples::boss);
        add("node", "cycle", Samples::tree);
        add("twins", "same", () -> {
            Twins t = new Twins();
            t.left = mia();
            t.right = t.left;
            return t;
        });
        add("twins", "equal", () -> {
            Twins t = new Twins();
            t.left = mia();
            t.right = mia();
            return t;
        });
        add("evolving", "grown", () -> {
            Evolving e = new Evolving();
            e.name = "v2";
            e.size = 3;
            return e;
        });
        sends("evolving", "grown", () -> {
            Evolving e = new Evolving();
            e.name = "v2";
            e.javaOnly = new JavaOnly();
            e.javaOnly.word = "unheard";
            e.size = 3;
            return e;
        });
        add("everything", "empty", Everything::new);
        add("everything", "full", Samples::everything);
        add("floatField", "third", () -> {
            Floating f = new Floating();
            f.before = 1;
            f.f = 1f / 3;
            f.after = 2;
            return f;
        });
        add("color", "red", () -> Color.RED);
        add("color", "null", () -> null);
    }

    private static void times() {
        add("date", "epoch", () -> new Date(0));
        add("date", "millis", () -> new Date(1700000000123L));
        add("date", "minute", () -> new Date(1700000040000L));
        add("date", "1900", () -> new Date(-2208988800001L));
        add("localDate", "leap", () -> LocalDate.of(2024, 2, 29));
        add("localTime", "nano", () -> LocalTime.of(23, 59, 58, 7));
        add("localDateTime", "both", () -> LocalDateTime.of(2026, 1, 2, 3, 4, 5, 6));
        add("instant", "nano", () -> Instant.ofEpochSecond(1700000000L, 123456789));
        add("duration", "minute and a half", () -> Duration.ofSeconds(90, 5));
        add("duration", "negative", () -> Duration.ofMillis(-1500));
        add("decimal", "scale", () -> new BigDecimal("12.30"));
        add("decimal", "exponent", () -> new BigDecimal("1E+30"));
        add("bigInteger", "zero", () -> BigInteger.ZERO);
        add("bigInteger", "small", () -> BigInteger.valueOf(-255));
        add("bigInteger", "huge", () -> BigInteger.ONE.shiftLeft(300).subtract(BigInteger.ONE));
        add("uuid", "one", () -> UUID.fromString("01020304-0506-0708-090a-0b0c0d0e0f10"));
    }

    private static void anything() {
        add("object", "null", () -> null);
        add("object", "string", () -> "text");
        add("object", "char", () -> "c");
        add("object", "int", () -> 5);
        add("object", "long", () -> 5L);
        add("object", "double", () -> 2.5);
        add("object", "boolean", () -> true);
        add("object", "bytes", () -> new byte[] {1, 2, 3});
        add("object", "list", () -> new ArrayList<>(Arrays.asList("a", 1)));
        add("object", "map", () -> {
            Map<String, Object> m = new HashMap<>();
            m.put("k", 1L);
            return m;
        });
        Date moment = new Date(1700000000123L);
        for (String name : new String[] {"instant", "zoned", "offset", "timestamp", "calendar"}) {
            add("object", name, () -> moment);
        }
        sends("object", "instant", moment::toInstant);
        sends("object", "zoned", () -> moment.toInstant().atZone(ZoneId.of("Asia/Shanghai")));
        sends("object", "offset", () -> moment.toInstant().atOffset(ZoneOffset.ofHours(-3)));
        sends("object", "timestamp", () -> new java.sql.Timestamp(moment.getTime()));
        sends("object", "calendar", () -> {
            Calendar c = new GregorianCalendar();
            c.setTime(moment);
            return c;
        });
        add("object", "locale", () -> Locale.CHINA);
        add("object", "unknown class", () -> {
            Map<String, Object> m = new HashMap<>();
            m.put("word", "w");
            m.put("number", 7L);
            return m;
        });
        sends("object", "unknown class", () -> {
            JavaOnly j = new JavaOnly();
            j.word = "w";
            j.number = 7;
            return j;
        });
        add("object", "person", Samples::mia);
        add("object", "manager", Samples::boss);
        add("object", "color", () -> Color.BLUE);
        add("object", "date", () -> new Date(1700000000123L));
        add("object", "localDate", () -> LocalDate.of(2024, 2, 29));
        add("object", "decimal", () -> new BigDecimal("1.5"));
        add("object", "bigInteger", () -> BigInteger.valueOf(7));
        add("object", "uuid", () -> UUID.fromString("01020304-0506-0708-090a-0b0c0d0e0f10"));
    }

    /** Whether two values are the same for a program that got one of them from the other side. */
    static boolean same(Object a, Object b) {
        DIFFERENCE.remove();
        return same(a, b, new IdentityHashMap<>());
    }

    /** The field in which the last two values of this thread differed, for messages. */
    static String difference() {
        String d = DIFFERENCE.get();
        return d == null ? "" : " (" + d + ")";
    }

    private static boolean same(Object a, Object b, IdentityHashMap<Object, Object> seen) {
        if (a == null || b == null || a == b) {
            return a == b;
        }
        if (seen.containsKey(a)) {
            return seen.get(a) == b;
        }
        if (a.getClass().isArray() && a.getClass() == b.getClass()) {
            int n = Array.getLength(a);
            boolean ok = n == Array.getLength(b);
            for (int i = 0; ok && i < n; i++) {
                ok = same(Array.get(a, i), Array.get(b, i), seen);
            }
            return ok;
        }
        if (a instanceof List && b instanceof List) {
            return same(((List<?>) a).toArray(), ((List<?>) b).toArray(), seen);
        }
        if (a instanceof Set || a instanceof Map) {
            return a.equals(b);
        }
        String pkg = Samples.class.getPackage().getName();
        if (a.getClass() == b.getClass() && a.getClass().getName().startsWith(pkg) && !(a instanceof Enum)) {
            seen.put(a, b);
            return sameFields(a, b, a.getClass(), seen);
        }
        return a.equals(b);
    }

    private static boolean sameFields(Object a, Object b, Class<?> c, IdentityHashMap<Object, Object> seen) {
        for (; c != Object.class; c = c.getSuperclass()) {
            for (Field f : c.getDeclaredFields()) {
                try {
                    f.setAccessible(true);
                    if (!Modifier.isStatic(f.getModifiers()) && !same(f.get(a), f.get(b), seen)) {
                        if (DIFFERENCE.get() == null) {
                            DIFFERENCE.set(f.getName() + ": " + show(f.get(a)) + ", " + show(f.get(b)));
                        }
                        return false;
                    }
                } catch (IllegalAccessException e) {
                    throw new IllegalStateException(e);
                }
            }
        }
        return true;
    }

    /** A value as one line for a message. */
    static String show(Object v) {
        if (v == null) {
            return "null";
        }
        String s = v.getClass().isArray() ? Arrays.deepToString(new Object[] {v}) : String.valueOf(v);
        return v.getClass().getName() + " " + (s.length() > 120 ? s.substring(0, 120) + "..." : s).replace('\n', ' ');
    }
}
